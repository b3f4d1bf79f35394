"""Do the subtitles run with the audio? An offset and a drift, from when cues are shown and when speech is heard.

The cues of each minute are laid over the speech around them at every lag. A line through time, lag = offset +
(drift - 1) * t, is sought along which they cover the most speech: coarsely over the first minutes, then over ever
longer stretches around what was found, which pins the drift down, and finely at the end. The sum over many cues finds
the place to a few hundredths of a second although each cue is off by more than that.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.cutting.speech import FRAME_S, Floats

BIN_S = 0.02
MAX_OFFSET_S = 60.0
MAX_DRIFT = 0.05
"""Reaches 25 / 23.976, the largest that film rates make."""
MIN_CUES = 6

_COARSE = 5  # bins of the coarse search: 0.1 s
_WINDOW_S = 60.0
_FIRST_WINDOWS = 10
_NEAR_S = 2.0
_NEAR_BINS = 8  # coarse bins by which the end of a stretch may be off when the next one is looked at
_RUNNER_UP_S = 3.0
_MIN_SHIFT_S = 0.12  # less is within what the search around each cue allows for
_MIN_GAIN = 0.02
_MIN_DRIFT_GAIN = 0.01
_MIN_LIKENESS = 0.3
_MIN_CONFIDENCE = 0.15


@dataclass(frozen=True)
class Correction:
    """True time = `drift` * subtitle time + `offset_s`. `confidence` 0..1: how far this stands out of other offsets."""

    offset_s: float
    drift: float
    confidence: float

    def apply(self, times_s: NDArray[np.float64]) -> NDArray[np.float64]:
        """Corrected times, never below zero."""
        return np.maximum(0.0, times_s * self.drift + self.offset_s)


class Activity:
    """Speech probability of a whole recording in bins of 20 ms, put together from what was looked at in any order."""

    def __init__(self) -> None:
        self._values = np.zeros(1 << 15, np.float32)
        self._n = 0

    def add(self, start_s: float, probabilities: Floats) -> None:
        """Take the probabilities of 32 ms frames from `start_s` on; where windows overlap the larger value stays."""
        low = round(start_s / BIN_S)
        n = round(probabilities.size * FRAME_S / BIN_S)
        if low + n > self._values.size:
            grown = np.zeros(max(2 * self._values.size, low + n), np.float32)
            grown[: self._n] = self._values[: self._n]
            self._values = grown
        frames = np.minimum((np.arange(n) + 0.5) * (BIN_S / FRAME_S), probabilities.size - 1).astype(np.int64)
        if n:
            part = self._values[low : low + n]
            np.maximum(part, probabilities[frames], out=part)
            self._n = max(self._n, low + n)

    @property
    def values(self) -> Floats:
        """[n_bins]."""
        return self._values[: self._n]


def detect(times_s: NDArray[np.float64], activity: Floats) -> Correction | None:
    """The correction that the cues `times_s` [n, 2] need to run with `activity` [n_bins]; None if none can be claimed.

    Offsets up to 60 s and drifts up to 5 % are found. None is claimed below 0.12 s at both ends of the subtitles.
    """
    times = np.asarray(times_s, np.float64)
    if times.shape[0] < MIN_CUES or activity.size * BIN_S < _NEAR_S or not activity.any():
        return None
    # A drift must earn its place: over a short file a wrong one fits nearly as well as none.
    found, drifting = (_line(times, activity, with_drift=drift) for drift in (False, True))
    before, after, drifted = (_likeness(t, activity) for t in (times, found.apply(times), drifting.apply(times)))
    if abs(drifting.drift - 1.0) <= MAX_DRIFT and drifted >= after + _MIN_DRIFT_GAIN:
        found, after = drifting, drifted
    shift = np.abs(found.apply(times) - times)[[0, -1]].max()
    claimed = shift >= _MIN_SHIFT_S and after >= max(_MIN_LIKENESS, before + _MIN_GAIN)
    return found if claimed and found.confidence >= _MIN_CONFIDENCE else None


def _line(times: NDArray[np.float64], activity: Floats, *, with_drift: bool) -> Correction:
    coarse_s = _COARSE * BIN_S
    sound = _rebinned(activity, _COARSE)
    ends = _window_ends(times)
    n = min(_FIRST_WINDOWS, len(ends))
    span = float(times[ends[n - 1] - 1, 1] - times[0, 0])
    slopes = _slopes(MAX_DRIFT, coarse_s / max(span, _WINDOW_S)) if with_drift else np.zeros(1)
    lag, slope, confidence = _search(times, ends[:n], sound, coarse_s, MAX_OFFSET_S, slopes)
    offset, drift = lag, 1.0 + slope
    stages = [n]  # groups of cues that are looked at: once more what was, then ever more, then all of them finely
    while stages[-1] < len(ends):
        stages.append(min(2 * stages[-1], len(ends)))
    fine = (len(ends), BIN_S, activity)
    for n, bin_s, heard in [*((n, coarse_s, sound) for n in stages), fine, fine]:
        span = max(_WINDOW_S, float(times[ends[n - 1] - 1, 1] - times[0, 0]))
        slopes = _slopes(_NEAR_BINS * coarse_s / span, bin_s / span) if with_drift else np.zeros(1)
        lag, slope, _ = _search(times * drift + offset, ends[:n], heard, bin_s, _NEAR_S, slopes)
        offset, drift = offset * (1.0 + slope) + lag, drift * (1.0 + slope)
    return Correction(round(offset, 3), round(drift, 7), round(confidence, 3))


def _slopes(reach: float, step: float) -> NDArray[np.float64]:
    n = int(np.ceil(reach / step))
    return np.arange(-n, n + 1, dtype=np.float64) * step


def _rebinned(activity: Floats, factor: int) -> Floats:
    n = activity.size // factor
    return np.asarray(activity[: n * factor].reshape(n, factor).mean(axis=1), np.float32)


def _window_ends(times: NDArray[np.float64]) -> list[int]:
    """Cues in groups of about a minute: the index after the last of each."""
    minutes = np.floor((times[:, 0] - times[0, 0]) / _WINDOW_S)
    return [*(int(i) + 1 for i in np.flatnonzero(np.diff(minutes) > 0)), len(times)]


def _search(
    times: NDArray[np.float64],
    ends: Sequence[int],
    sound: Floats,
    bin_s: float,
    reach_s: float,
    slopes: NDArray[np.float64],
) -> tuple[float, float, float]:
    """(lag at time 0, slope, confidence) of the line along which the groups of cues fit the sound best."""
    n_lags = round(reach_s / bin_s)
    sloped = float(np.abs(slopes).max()) * float(times[: ends[-1]].max())
    n_wide = n_lags + int(np.ceil(sloped / bin_s)) + 1
    sums = np.concatenate([[0.0], np.cumsum(sound - sound.mean(), dtype=np.float64)])
    rows, middles, begin = [], [], 0
    for end in ends:
        rows.append(_correlation(times[begin:end], sums, bin_s, n_wide))
        middles.append(float(times[begin:end].mean()))
        begin = end
    lags = np.arange(-n_lags, n_lags + 1)
    best = (-np.inf, 0.0, 0.0, 0.0)
    for slope in slopes:
        total = np.zeros(lags.size)
        for row, middle in zip(rows, middles, strict=True):
            start = n_wide - n_lags + round(slope * middle / bin_s)
            total += row[start : start + lags.size]
        top = int(np.argmax(total))
        if total[top] > best[0]:
            others = np.abs(lags - lags[top]) * bin_s > _RUNNER_UP_S
            second = float(total[others].max()) if others.any() else 0.0
            confidence = 1.0 - max(0.0, second) / float(total[top]) if total[top] > 0 else 0.0
            best = (float(total[top]), float(lags[top] + _peak(total, top)) * bin_s, float(slope), confidence)
    return best[1], best[2], best[3]


def _peak(values: NDArray[np.float64], top: int) -> float:
    """Where between the bins the largest value lies: the top of the parabola through three."""
    if not 0 < top < values.size - 1:
        return 0.0
    left, middle, right = (float(v) for v in values[top - 1 : top + 2])
    bend = left - 2.0 * middle + right
    return 0.5 * (left - right) / bend if bend < 0 else 0.0


def _correlation(
    cues: NDArray[np.float64], sums: NDArray[np.float64], bin_s: float, n_lags: int
) -> NDArray[np.float64]:
    """How much sound the cues cover when they are moved by -n_lags..n_lags bins, [2 * n_lags + 1].

    `sums`: running sums of the sound; a cue covers the sum up to its end less the sum up to its start.
    """
    lags = np.arange(-n_lags, n_lags + 1)
    edges = np.round(cues / bin_s).astype(np.int64)
    places = np.clip(edges[:, :, None] + lags, 0, sums.size - 1)
    covered = sums[places]
    return np.asarray((covered[:, 1] - covered[:, 0]).sum(axis=0))


def _likeness(times: NDArray[np.float64], activity: Floats) -> float:
    """Correlation coefficient between cues shown and speech heard, -1..1."""
    edges = np.clip(np.round(times / BIN_S).astype(np.int64), 0, activity.size)
    steps = np.zeros(activity.size + 1)
    np.add.at(steps, edges[:, 0], 1.0)
    np.add.at(steps, edges[:, 1], -1.0)
    shown = (np.cumsum(steps)[:-1] > 0.5).astype(np.float64)
    if shown.std() == 0.0 or activity.std() == 0.0:
        return 0.0
    return float(np.corrcoef(shown, activity)[0, 1])
