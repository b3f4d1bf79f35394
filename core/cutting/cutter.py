"""One chapter: find the speech of its cues, plan the cuts, take them out at the wanted rate."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.audio.resample import resample
from core.cutting.chapters import Chapter
from core.cutting.options import CutOptions
from core.cutting.plan import HOP_SAMPLES, CuePlan, Envelope, Window, part, plan_cuts, windows_of
from core.cutting.speech import FRAME_SAMPLES, RATE_HZ, Floats, probabilities

_PIECE_S = 8.0  # sound between cues is looked at in pieces of about a cue's length, which go well side by side
_CONTEXT_S = 0.05  # beside a cut that is resampled, so that its edges are those of the whole resampled
_FADE_S = 0.003
_CLIPPED = 0.999
_QUIET_DB = -50.0


@dataclass(frozen=True)
class Cut:
    """A plan with its sound at the wanted rate ([n], without the silence around it; empty where it is not cut)."""

    plan: CuePlan
    audio: Floats

    @property
    def level_db(self) -> float:
        """RMS, dBFS; -120 for silence."""
        return _level_db(self.audio)


Heard = list[tuple[float, Floats]]
"""Stretches of speech probabilities (32 ms frames) with the second at which each begins."""


def listen(chapter: Chapter, windows: Sequence[Window]) -> tuple[list[Floats], Heard]:
    """Probabilities for each window, and what was heard in the whole chapter."""
    spans = [(window.first_sample, window.end_sample) for window in windows]
    between = _between(spans, *(int(at * RATE_HZ) for at in chapter.heard_s))
    sounds = [
        chapter.speech[max(0, a - chapter.speech_from) : max(0, b - chapter.speech_from)] for a, b in [*spans, *between]
    ]
    found = probabilities(sounds)
    heard = [(a / RATE_HZ, p) for (a, _), p in zip([*spans, *between], found, strict=True)]
    return found[: len(windows)], heard


def _between(spans: Sequence[tuple[int, int]], low: int, high: int) -> list[tuple[int, int]]:
    """What the spans leave of [low, high), in pieces."""
    rest, at = [], low
    for start, end in [*sorted(spans), (high, high)]:
        n = math.ceil(max(0, min(start, high) - at) / (_PIECE_S * RATE_HZ))
        edges = np.linspace(at, min(start, high), n + 1).astype(int).tolist() if n else []
        rest += [(a, b) for a, b in itertools.pairwise(edges) if b - a >= FRAME_SAMPLES]
        at = max(at, end)
    return rest


def cut_chapter(chapter: Chapter, times: NDArray[np.float64], options: CutOptions) -> tuple[list[Cut], Heard]:
    """The cuts of a chapter's cues. `times` [n, 2]: all cues, seconds."""
    whole = chapter.speech[: chapter.speech.size // HOP_SAMPLES * HOP_SAMPLES].reshape(-1, HOP_SAMPLES)
    power = np.einsum("ij,ij->i", whole, whole).astype(np.float64) / HOP_SAMPLES
    envelope = Envelope(power, chapter.speech_from // HOP_SAMPLES)
    around = windows_of(times, chapter.wanted, options.buffer_ms / 1000.0, chapter.duration_s)
    part(around, chapter.wanted, envelope)
    windows = [window for window in around if window.position in chapter.wanted]
    speech, heard = listen(chapter, windows)
    plans = plan_cuts(windows, speech, envelope, chapter.duration_s, options.vad_threshold)
    return [Cut(plan, _sound(chapter, plan, options.sample_rate)) for plan in plans], heard


def _sound(chapter: Chapter, plan: CuePlan, rate_hz: int) -> Floats:
    """The cut at `rate_hz`, its ends faded over 3 ms against clicks. Adds notes to the plan."""
    if not plan.cut:
        return np.zeros(0, np.float32)
    context = 0 if rate_hz == chapter.rate_hz else round(_CONTEXT_S * chapter.rate_hz)
    low = max(0, round(plan.start_s * chapter.rate_hz) - chapter.sound_from - context)
    high = round(plan.end_s * chapter.rate_hz) - chapter.sound_from + context
    audio = resample(chapter.sound[low:high], chapter.rate_hz, rate_hz)
    skip = max(0, round((plan.start_s - (low + chapter.sound_from) / chapter.rate_hz) * rate_hz))
    audio = audio[skip : skip + round((plan.end_s - plan.start_s) * rate_hz)].copy()
    if audio.size and float(np.abs(audio).max()) >= _CLIPPED:
        plan.warnings.append("Its peaks reach full scale: the recording may be clipped here.")
    if audio.size and _level_db(audio) < _QUIET_DB:
        plan.warnings.append("It is very quiet: listen whether it holds speech at all.")
    n = min(round(_FADE_S * rate_hz), audio.size // 2)
    if n:
        ramp = np.sin(np.linspace(0.0, np.pi / 2, n, endpoint=False, dtype=np.float32)) ** 2
        audio[:n] *= ramp
        audio[-n:] *= ramp[::-1]
    return audio


def padded(audio: Floats, silence_ms: int, rate_hz: int) -> Floats:
    """`audio` with silence before and after it."""
    return np.pad(audio, round(silence_ms / 1000.0 * rate_hz))


def _level_db(audio: Floats) -> float:
    power = float(np.dot(audio, audio)) / max(1, audio.size)
    return max(-120.0, 10.0 * math.log10(power)) if power > 0 else -120.0
