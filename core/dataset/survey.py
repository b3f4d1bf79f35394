"""The first pass over a recording: what must be known of all of it before it is cut. Memory: two numbers per 20 ms."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from core.audio import vad
from core.audio.decode import probe, stream
from core.audio.loudness import LoudnessMeter
from core.audio.resample import StreamResampler
from core.audio.slicer import RmsEnvelope, SliceParams
from core.dataset.options import PrepareOptions
from core.dataset.plan import HOP_MS, Envelope, plan_cuts

if TYPE_CHECKING:
    from core.jobs.context import JobContext

BLOCK_S = 10.0
UNCUT_LIMIT_S = 60.0
"""With slicer "none" a longer file is refused: a clip must fit in memory many times over in training."""
_ABOVE_NOISE_DB = 6.0
_BELOW_VOICE_DB = 25.0


@dataclass(frozen=True)
class Survey:
    """`lufs` of the whole recording (-inf for silence), `noise_db` its noise floor (RMS, dBFS; -inf for digital
    silence), `threshold_db` where its silence begins (dBFS), `cuts` the sample ranges of its clips."""

    envelope: Envelope
    lufs: float
    noise_db: float
    threshold_db: float
    cuts: list[tuple[int, int]]
    warnings: list[str]

    @property
    def duration_s(self) -> float:
        """Seconds that were decoded."""
        return self.envelope.n_samples / self.envelope.rate_hz


def survey(path: Path, options: PrepareOptions, ctx: "JobContext") -> Survey:
    """Stream the recording once and plan its clips. Raises BadInput (unreadable, too long), Cancelled, Unavailable."""
    rate = options.rate_hz
    hop = SliceParams(hop_ms=HOP_MS).hop_samples(rate)
    expected_s = probe(path).duration_s or 3600.0
    envelope, meter = RmsEnvelope(hop), LoudnessMeter(rate)
    detector = vad.SpeechDetector() if options.slicer == "vad" else None
    to_vad = StreamResampler(rate, vad.RATE_HZ)
    notes: list[str] = []
    for block in stream(path, rate, BLOCK_S, max_hours=ctx.settings.max_decode_hours, warnings=notes):
        envelope.push(block)
        meter.push(block)
        if detector is not None:
            detector.push(to_vad.push(block))
        ctx.progress(min(1.0, envelope.n_samples / rate / expected_s))
    measured = Envelope(envelope.finish(), hop, envelope.n_samples, rate)
    lufs = meter.lufs()
    noise_db, threshold_db = _levels(measured, lufs, options)
    speech = None
    if detector is not None:
        detector.push(to_vad.finish())
        params = vad.VadParams(min_silence_s=options.min_pause_s, pad_s=0.2)
        speech = vad.spans_from_probabilities(detector.finish(), measured.n_samples / rate, params)
    if options.slicer == "none":
        whole = measured.n_samples <= UNCUT_LIMIT_S * rate
        cuts = [(0, measured.n_samples)] if whole else []
    elif math.isinf(lufs) and float(measured.rms.max()) < 1e-3:
        cuts = []
    else:
        cuts = plan_cuts(measured, options, threshold_db, speech)
    return Survey(measured, lufs, noise_db, threshold_db, cuts, notes)


def _levels(envelope: Envelope, lufs: float, options: PrepareOptions) -> tuple[float, float]:
    """(noise floor, silence threshold), dBFS of the recording as it is.

    The threshold asked for holds for a recording at the target loudness, so it moves with this one's. It is raised
    above a noise floor that would hide every pause, as long as it stays well below the voice.
    """
    low, high = np.percentile(envelope.rms, [5, 95])
    noise_db = 20.0 * math.log10(low) if low > 0 else -math.inf
    voice_db = 20.0 * math.log10(high) if high > 0 else -math.inf
    shift = lufs - options.target_lufs if math.isfinite(lufs) else 0.0
    threshold = options.threshold_db + shift
    return noise_db, max(threshold, min(noise_db + _ABOVE_NOISE_DB, voice_db - _BELOW_VOICE_DB))
