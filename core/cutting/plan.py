"""Where to cut: the answer of the speech detector for each cue, kept off its neighbours and completed at its edges.

Three steps. *Search*: the detector's stretches of speech in the cue's window, from `buffer_ms` before the cue to
`buffer_ms` after it. *Part*: where the windows of two cues overlap, the quietest place in the overlap parts them, and
what the detector found beyond it is the neighbour's. *Complete*: the detector often starts a moment late on a soft
consonant; sound that joins its answer without a pause belongs to the word, as far as the window goes.

Times are seconds of the recording. The envelope has one value per 10 ms.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from core.cutting.segments import segments
from core.cutting.speech import FRAME_S, RATE_HZ, Floats

HOP_S = 0.01
HOP_SAMPLES = 160
MARGIN_S = 1.0
"""Sound beyond a window that must be at hand, to know the noise there and to weigh places at its edge."""
MAX_CUE_S = 60.0
"""A longer cue is no utterance: it is reported and not cut."""

_PAUSE_FRAMES = 15  # 150 ms: longer than the closure of a stop consonant, so that a pause is preferred to one
_SOFT_DB = -40.0  # beside the loud frames of the cut: still part of a word where it joins it
_STRONG_DB = -25.0  # a vowel or a loud consonant, never breath
_SOFT_FRAMES = 3  # sound at an edge is taken for this long only, so that a cut stays close to the detector's,
_SYLLABLE_FRAMES = 15  # unless it is loud for so long that a syllable would be lost
_WORD_FRAMES = 12  # loud sound of this length that the detector holds for speech is a word, however short
_WORD_GAP_FRAMES = 30
_OVER_NOISE = 4.0  # in power: sound must stand out of the noise to count
_LOUDEST_NOISE = 0.3
_FRAGMENT_S = 0.1
_EDGE_S = 0.03
_OVERLAPPING = 0.5  # of the shorter cue: from here on two cues mean the same sound, and nothing parts them
_LOOK_BACK = 8


@dataclass(frozen=True)
class Envelope:
    """Mean square per 10 ms, [n]; the first value starts at `first * 10 ms`."""

    power: NDArray[np.float64]
    first: int

    def between(self, start_s: float, end_s: float) -> slice:
        """The values from `start_s` to `end_s`, as far as they are there."""
        low = max(0, round(start_s / HOP_S) - self.first)
        return slice(low, max(low, round(end_s / HOP_S) - self.first))


@dataclass
class Window:
    """A cue's window of search. `low_s`, `high_s`: what a neighbour leaves of it."""

    position: int
    cue_start_s: float
    cue_end_s: float
    start_s: float
    end_s: float
    low_s: float = 0.0
    high_s: float = 0.0
    warnings: list[str] = field(default_factory=list)

    @property
    def first_sample(self) -> int:
        """Where it begins at 16 kHz."""
        return int(self.start_s * RATE_HZ)

    @property
    def end_sample(self) -> int:
        """Where it ends at 16 kHz."""
        return int(self.end_s * RATE_HZ)


@dataclass(frozen=True)
class CuePlan:
    """What becomes of one cue: cut from `start_s` to `end_s`, or not at all (`cut` is False; `warnings` say why).

    `position`: of the cue in the list. `source`: whose times these are.
    """

    position: int
    start_s: float
    end_s: float
    source: Literal["vad", "subtitle"]
    warnings: list[str]
    cut: bool = True


def windows_of(times: NDArray[np.float64], wanted: range, buffer_s: float, duration_s: float) -> list[Window]:
    """The windows of the cues in `wanted` and of those before and after that reach into them.

    `times` [n_cues, 2]: start and end of every cue, sorted by start.
    """
    made = []
    for position in range(max(0, wanted.start - _LOOK_BACK), min(len(times), wanted.stop + _LOOK_BACK)):
        start, end = (float(value) for value in times[position])
        low, high = max(0.0, start - buffer_s), min(duration_s, end + buffer_s)
        made.append(Window(position, start, end, low, high, low, high))
    return made


def part(windows: Sequence[Window], wanted: range, envelope: Envelope) -> None:
    """Set the limits of the wanted windows where others overlap them. All of `windows` are sorted by start."""
    for index, one in enumerate(windows):
        for other in windows[index + 1 : index + 1 + _LOOK_BACK]:
            if other.start_s >= one.end_s or not (one.position in wanted or other.position in wanted):
                continue
            shared = min(one.cue_end_s, other.cue_end_s) - other.cue_start_s
            shorter = min(one.cue_end_s - one.cue_start_s, other.cue_end_s - other.cue_start_s)
            if shared > _OVERLAPPING * shorter:
                one.warnings.append(_overlap(other, shared))
                other.warnings.append(_overlap(one, shared))
                continue
            place = quietest(envelope, other.start_s, min(one.end_s, other.end_s))
            one.high_s = min(one.high_s, max(place, one.low_s))
            other.low_s = max(other.low_s, min(place, other.high_s))


def _overlap(other: Window, shared_s: float) -> str:
    return (
        f"It shares {shared_s:.2f} s with the cue at {other.cue_start_s:.3f} s, and both clips hold that sound. "
        "Keep one of them."
    )


def quietest(envelope: Envelope, start_s: float, end_s: float) -> float:
    """The middle of the longest of the quietest places between two times."""
    reach = _PAUSE_FRAMES // 2
    low = round(start_s / HOP_S) - envelope.first
    high = max(low + 1, round(end_s / HOP_S) - envelope.first)
    around = np.clip(np.arange(low - reach, high + reach), 0, max(0, envelope.power.size - 1))
    if not envelope.power.size:
        return (start_s + end_s) / 2
    smooth = np.convolve(envelope.power[around], np.ones(_PAUSE_FRAMES) / _PAUSE_FRAMES, "valid")
    quiet = np.concatenate([[False], smooth <= 2.0 * smooth.min() + 1e-12, [False]])
    edges = np.flatnonzero(np.diff(quiet.astype(np.int8)))
    runs = list(zip(edges[::2], edges[1::2], strict=True))
    begin, end = max(runs, key=lambda run: run[1] - run[0])
    middle = (low + (begin + end) / 2 + envelope.first) * HOP_S
    return min(end_s, max(start_s, float(middle)))


def plan_cuts(
    windows: Sequence[Window],
    speech: Sequence[Floats],
    envelope: Envelope,
    duration_s: float,
    threshold: float = 0.5,
) -> list[CuePlan]:
    """One plan per window. `speech`: the detector's probabilities for each window from its first sample;
    `duration_s`: length of the recording (infinite while it is not known)."""
    return [_plan(w, p, envelope, duration_s, threshold) for w, p in zip(windows, speech, strict=True)]


def refusal(start_s: float, end_s: float, duration_s: float) -> str:
    """Why a cue cannot be cut; empty if it can."""
    if start_s >= duration_s:
        return f"It begins at {start_s:.3f} s, after the end of the audio ({duration_s:.3f} s): not cut."
    if end_s <= start_s:
        return "It has no length: not cut."
    if end_s - start_s > MAX_CUE_S:
        return f"It is {end_s - start_s:.1f} s long, more than a clip may be ({MAX_CUE_S:.0f} s): not cut."
    return ""


def _plan(window: Window, probabilities: Floats, envelope: Envelope, duration_s: float, threshold: float) -> CuePlan:
    start_s, end_s = window.cue_start_s, min(window.cue_end_s, duration_s)
    reason = refusal(window.cue_start_s, window.cue_end_s, duration_s)
    if reason:
        start_s = min(start_s, duration_s)
        return CuePlan(window.position, start_s, max(start_s, end_s), "subtitle", [reason], False)
    warnings = list(window.warnings)
    if window.cue_end_s > duration_s:
        warnings.append(f"It ends after the end of the audio ({duration_s:.3f} s): cut there.")
    n_samples = window.end_sample - window.first_sample
    found = [
        (window.start_s + start / RATE_HZ, window.start_s + end / RATE_HZ)
        for start, end in segments(probabilities.tolist(), n_samples, threshold)
    ]
    own = _own(found, window)
    if not own:
        low, high = max(start_s, window.low_s), min(end_s, window.high_s)
        cut = high - low >= HOP_S
        why = "cut at the subtitle's own times" if cut else "and nothing is left of its own times: not cut"
        warnings.append(f"No speech was found in it{':' if cut else ','} {why}.")
        return CuePlan(window.position, low, max(low, high), "subtitle", warnings, cut)
    start_s, end_s = max(own[0][0], window.low_s), min(own[-1][1], window.high_s)
    levels = _levels(start_s, end_s, window, envelope)
    words = _words(probabilities, window, threshold)
    low, high = _complete(start_s, end_s, window, envelope, levels, words)
    warnings += _edges(window, low, high, envelope, levels.strong)
    return CuePlan(window.position, low, high, "vad", warnings)


def _own(found: list[tuple[float, float]], window: Window) -> list[tuple[float, float]]:
    """The stretches on this cue's side of the limits. One that only pokes over a limit is the neighbour's."""
    inside = []
    for start, end in found:
        low, high = max(start, window.low_s), min(end, window.high_s)
        clipped = (low, high) != (start, end)
        if high - low > (_FRAGMENT_S if clipped else 0.0):
            inside.append((low, high))
    return inside


def _words(probabilities: Floats, window: Window, threshold: float) -> NDArray[np.bool_]:
    """Per 10 ms of the window: does the detector hold it for speech, however short?"""
    n = max(0, round((window.end_s - window.start_s) / HOP_S))
    frames = np.minimum((np.arange(n) + 0.5) * (HOP_S / FRAME_S), max(0, probabilities.size - 1)).astype(np.int64)
    return probabilities[frames] >= threshold if probabilities.size else np.zeros(n, np.bool_)


@dataclass(frozen=True)
class _Levels:
    """Powers from which sound is part of a word where it joins it (`soft`), and a vowel or the like (`strong`)."""

    soft: float
    strong: float


def _levels(start_s: float, end_s: float, window: Window, envelope: Envelope) -> _Levels:
    whole = envelope.power[envelope.between(window.start_s - MARGIN_S, window.end_s + MARGIN_S)]
    inside = envelope.power[envelope.between(start_s, end_s)]
    if not inside.size:
        return _Levels(np.inf, np.inf)
    loud = float(np.percentile(inside, 95))
    # Where nobody pauses the softest tenth is speech too, and must not pass for noise as loud as the voice.
    noise = min(float(np.percentile(whole, 10)) * _OVER_NOISE, loud * _LOUDEST_NOISE)
    return _Levels(*(max(noise, loud * 10.0 ** (db / 10.0)) for db in (_SOFT_DB, _STRONG_DB)))


def _complete(
    start_s: float, end_s: float, window: Window, envelope: Envelope, levels: _Levels, speech: NDArray[np.bool_]
) -> tuple[float, float]:
    """The cut, widened to the whole of its first and last word within the limits."""
    before = envelope.power[envelope.between(window.low_s, start_s)][::-1]
    after = envelope.power[envelope.between(end_s, window.high_s)]
    n_low, n_start, n_end = (round((at - window.start_s) / HOP_S) for at in (window.low_s, start_s, end_s))
    low = start_s - HOP_S * _reach(before, speech[n_low:n_start][::-1], levels)
    high = end_s + HOP_S * _reach(after, speech[n_end:], levels)
    return max(window.low_s, low), min(window.high_s, high)


def _reach(power: NDArray[np.float64], speech: NDArray[np.bool_], levels: _Levels) -> int:
    """How many frames outwards belong to the word at the edge, or to a short word that the detector dropped."""
    reach = _run(power[:_SOFT_FRAMES] >= levels.soft)
    loud = reach + _run(power[reach:] >= levels.strong)
    reach = loud if loud >= _SYLLABLE_FRAMES else reach
    near = min(power.size, speech.size, reach + _WORD_GAP_FRAMES)
    word = np.flatnonzero((power[:near] >= levels.strong) & speech[:near])
    word = word[word >= reach]
    if word.size >= _WORD_FRAMES:
        reach = int(word[-1]) + 1
        reach += _run(power[reach : reach + _SOFT_FRAMES] >= levels.soft)
    return reach


def _run(above: NDArray[np.bool_]) -> int:
    """Length of the run of True at the start."""
    return int(np.argmin(above)) if not above.all() else int(above.size)


def _edges(window: Window, low: float, high: float, envelope: Envelope, strong: float) -> list[str]:
    """What a person should know about the two edges: speech that goes on where the cut had to end."""
    notes = []
    for side, at, limit, edge in (
        ("before", low, window.low_s, window.start_s),
        ("after", high, window.high_s, window.end_s),
    ):
        around = envelope.power[envelope.between(at - _EDGE_S, at + _EDGE_S)]
        if abs(at - limit) > HOP_S or around.size < 2 * round(_EDGE_S / HOP_S) or float(around.min()) < strong:
            continue
        if limit != edge:
            notes.append(f"No pause parts it from the cue {side} it: cut at the quietest place between them.")
        else:
            where = "begins before" if side == "before" else "goes on after"
            notes.append(f"The speech {where} the search window: check the subtitle's times, or raise buffer_ms.")
    return notes
