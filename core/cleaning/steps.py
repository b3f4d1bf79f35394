"""The steps that cleaning is made of: each takes a file that can be read again and gives blocks at the same rate."""

import math
from collections.abc import Callable, Iterator

import numpy as np
from scipy.signal import butter, sosfilt

from core.audio import vad
from core.audio.limiter import limit
from core.audio.loudness import LoudnessMeter
from core.audio.resample import StreamResampler
from core.cleaning.blocks import Block, Source, overlapped
from core.cleaning.denoise import denoise
from core.cleaning.dereverb import dereverbed
from core.cleaning.gate import gated
from core.cleaning.options import CleanOptions, StepName
from core.cleaning.separate import separated

Step = Callable[[Source, CleanOptions], Iterator[Block]]

_ORDER = 4
_LIMIT_BLOCK_S, _LIMIT_OVERLAP_S = 20.0, 1.0
_MAX_GAIN_DB = 40.0


def highpass(source: Source, options: CleanOptions) -> Iterator[Block]:
    """Butterworth, 24 dB an octave; the filter's state goes from block to block."""
    hz = min(options.highpass_hz, 0.45 * source.rate_hz)
    sections = butter(_ORDER, hz, "highpass", fs=source.rate_hz, output="sos")
    state = np.zeros((sections.shape[0], 2))
    for block in source.blocks():
        out, state = sosfilt(sections, block, zi=state)
        yield out.astype(np.float32)


def trim(source: Source, options: CleanOptions) -> Iterator[Block]:
    """From a little before the first speech to a little after the last. What Silero hears no speech in stays whole."""
    rate = source.rate_hz
    detector, resampler = vad.SpeechDetector(), StreamResampler(rate, vad.RATE_HZ)
    n_samples = 0
    for block in source.blocks(0.0, 0.6):
        n_samples += block.size
        detector.push(resampler.push(block))
    detector.push(resampler.finish())
    spans = vad.spans_from_probabilities(detector.finish(), n_samples / rate, vad.VadParams(pad_s=0.0))
    first, last = 0, n_samples
    if spans:
        first = max(0, round((spans[0].start_s - options.trim_pad_s) * rate))
        last = min(n_samples, round((spans[-1].end_s + options.trim_pad_s) * rate))
        source.notes.append(f"starts at {first / rate:.3f} s of the file before")
    else:
        source.notes.append("no speech was found, so nothing was trimmed")
    at = 0
    for block in source.blocks(0.6, 1.0):
        part = block[max(0, first - at) : max(0, last - at)]
        at += block.size
        if part.size:
            yield part


def loudness(source: Source, options: CleanOptions) -> Iterator[Block]:
    """One gain for the whole file, 40 dB at most, then a limiter, whose loss is not made up for. Silence, or less than
    400 ms, stays as it is."""
    rate = source.rate_hz
    meter = LoudnessMeter(rate)
    for block in source.blocks(0.0, 0.4):
        meter.push(block)
    lufs = meter.lufs()
    if math.isfinite(lufs):
        gain_db = min(options.target_lufs - lufs, _MAX_GAIN_DB)
        source.notes.append(f"{lufs:.1f} LUFS before, gain {gain_db:+.1f} dB")
    else:
        gain_db = 0.0
        source.notes.append("too quiet or too short to have a loudness, so its level stays")
    gain = np.float32(10.0 ** (gain_db / 20.0))
    # A hair below the ceiling: where two limited pieces are faded into one another, points between the samples can
    # rise a little, and 24-bit rounding adds its own.
    ceiling = options.true_peak_dbtp - 0.05
    return overlapped(
        (block * gain for block in source.blocks(0.4, 1.0)),
        lambda x: limit(x, rate, ceiling),
        round(_LIMIT_BLOCK_S * rate),
        round(_LIMIT_OVERLAP_S * rate),
    )


STEP_FUNCTIONS: dict[StepName, Step] = {
    "separate": separated,
    "highpass": highpass,
    "gate": gated,
    "denoise": denoise,
    "dereverb": dereverbed,
    "trim": trim,
    "loudness": loudness,
}
