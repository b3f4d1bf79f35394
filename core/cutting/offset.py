"""Do the subtitles run with the audio? An offset and a drift, from when cues are shown and when speech is heard.

Where a cue starts speech rises, and where it ends speech falls. For a line, true time = drift * time + offset, the rise
at all starts and the fall at all ends are summed: along the true line nearly every edge adds to the sum, along another
they cancel. All lines are tried over the first cues (one correlation by FFT for each drift); the best is followed over
ever longer stretches, which pins the drift down. How high the sum comes by chance is known from all the lines that were
tried, so that sparse subtitles can be judged, and those of another recording are not taken for late ones.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.cutting.speech import FRAME_S, Floats

BIN_S = 0.02
MAX_OFFSET_S = 60.0
MAX_DRIFT = 0.05
"""Reaches 25 / 23.976, the largest that film rates make."""
MIN_CUES = 6

_SIDE_S = 0.36  # of sound that is compared before and after an edge; subtitles are off by less
_ABUTTING_S = 0.3  # an end so close before the next start was stretched to it, and says nothing
_COARSE = 3  # bins of the first search: 60 ms
_REACH_S = MAX_OFFSET_S + 1.0
_FIRST_EDGES = 200
_LEAST_S, _MOST_S = 300.0, 1800.0  # of the subtitles whose lines are all tried
_END_STEP_S = 0.2  # neighbouring lines are so far apart at the end of that stretch
_NEAR_S = 0.4  # how far a line may turn away when a longer stretch is looked at
_FINE_S = 0.1
_RUNNER_UP_S = 3.0
_LATE_S = 0.025  # by which the detector's answer follows the sound, measured on two voices
_MIN_SHIFT_S = 0.12  # less is within what the search around each cue allows for
_MIN_DEVIATIONS = 6.0
_PLAIN_FIT, _PLAIN_EDGES = 0.5, 40  # so many edges do not fit so well by chance: nothing else need be tried
_SIMPLER = 0.985  # of the best sum: a line with the drift of a film rate is taken from here on
_SIMPLE_S = 1.0
_FILM_HZ = (24.0, 25.0, 24000 / 1001)
_SIMPLE_DRIFTS = (1.0, *sorted({a / b for a in _FILM_HZ for b in _FILM_HZ if a != b}))


@dataclass(frozen=True)
class Correction:
    """True time = `drift` * subtitle time + `offset_s`. `confidence` 0..1: how far this stands out of other lines."""

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


@dataclass(frozen=True)
class _Line:
    offset_s: float
    drift: float


@dataclass(frozen=True)
class _Edges:
    """Times at which speech should rise (`sign` 1) or fall (-1), in order, [n] each."""

    at_s: NDArray[np.float64]
    sign: NDArray[np.float64]

    def first(self, n: int) -> "_Edges":
        return _Edges(self.at_s[:n], self.sign[:n])

    @property
    def span_s(self) -> float:
        return max(60.0, float(self.at_s[-1] - self.at_s[0]))


def detect(times_s: NDArray[np.float64], activity: Floats) -> Correction | None:
    """The correction that the cues `times_s` [n, 2] need to run with `activity` [n_bins]; None if none can be claimed.

    Offsets up to 60 s and drifts up to 5 % are found. None is claimed below 0.12 s at both ends of the subtitles.
    """
    times = np.asarray(times_s, np.float64)
    if times.shape[0] < MIN_CUES or activity.size * _COARSE * BIN_S < _SIDE_S or not activity.any():
        return None
    edges, rise = _edges(times), _rise(activity, BIN_S)
    as_it_is = _nearby(edges, rise, _Line(_LATE_S, 1.0), _NEAR_S)
    plain = edges.at_s.size >= _PLAIN_EDGES and _fit(edges, rise, as_it_is) >= _PLAIN_FIT
    if plain and _shift_s(_correction(as_it_is, 1.0), times) < _MIN_SHIFT_S:
        return None
    n = int(np.searchsorted(edges.at_s, edges.at_s[0] + _LEAST_S))
    n = min(max(n, _FIRST_EDGES), int(np.searchsorted(edges.at_s, edges.at_s[0] + _MOST_S)))
    coarse = activity[: activity.size // _COARSE * _COARSE].reshape(-1, _COARSE).mean(axis=1)
    line, deviations, confidence = _any_line(edges.first(n), _rise(coarse, BIN_S * _COARSE), BIN_S * _COARSE)
    line = _nearby(edges.first(n), rise, line, _NEAR_S)
    while n < edges.at_s.size:
        n = min(2 * n, edges.at_s.size)
        line = _nearby(edges.first(n), rise, line, _NEAR_S)
    # The fewer edges, the more a line gains by chance.
    least_gain = 0.02 + 0.3 / float(np.sqrt(edges.at_s.size))
    line = _simplest(edges, rise, _nearby(edges, rise, line, _FINE_S), least_gain)
    found = _correction(line, confidence)
    gain = _fit(edges, rise, line) - _fit(edges, rise, _Line(_LATE_S, 1.0))
    sure = deviations >= _MIN_DEVIATIONS and gain >= least_gain and abs(line.drift - 1.0) <= MAX_DRIFT
    return found if sure and _shift_s(found, times) >= _MIN_SHIFT_S else None


def _correction(line: _Line, confidence: float) -> Correction:
    return Correction(round(float(line.offset_s) - _LATE_S, 3), round(float(line.drift), 7), round(confidence, 3))


def _shift_s(found: Correction, times: NDArray[np.float64]) -> float:
    """How far the first and the last cue are moved, the larger of both."""
    return float(np.abs(found.apply(times) - times)[[0, -1]].max())


def _edges(times: NDArray[np.float64]) -> _Edges:
    starts, ends = np.unique(times[:, 0]), np.unique(times[:, 1])
    following = np.append(starts, np.inf)[np.searchsorted(starts, ends - _ABUTTING_S)]
    ends = ends[following - ends >= _ABUTTING_S]
    at = np.concatenate([starts, ends])
    order = np.argsort(at, kind="stable")
    return _Edges(at[order], np.concatenate([np.ones(starts.size), -np.ones(ends.size)])[order])


def _rise(activity: Floats, bin_s: float) -> NDArray[np.float64]:
    """Mean activity after each border of bins less that before it, [n + 1], -1..1."""
    side = max(1, round(_SIDE_S / bin_s))
    sums = np.concatenate([np.zeros(side + 1), np.cumsum(activity, dtype=np.float64)])
    sums = np.concatenate([sums, np.full(side, sums[-1])])
    n = activity.size + 1
    return np.asarray((sums[2 * side :][:n] - 2.0 * sums[side:][:n] + sums[:n]) / side)


def _any_line(edges: _Edges, rise: NDArray[np.float64], bin_s: float) -> tuple[_Line, float, float]:
    """(the best of all lines, its sum in standard deviations of all sums, confidence)."""
    n_slopes = int(np.ceil(MAX_DRIFT * edges.span_s / _END_STEP_S)) + 1
    slopes = np.arange(-n_slopes, n_slopes + 1) * (_END_STEP_S / edges.span_s)
    n_lags = round(_REACH_S / bin_s)
    low = int(edges.at_s[0] * (1.0 + slopes[0]) / bin_s) - n_lags
    high = int(edges.at_s[-1] * (1.0 + slopes[-1]) / bin_s) + n_lags + 2
    size = 1 << (high - low).bit_length()
    heard = np.zeros(size)
    begin, end = max(0, low), min(rise.size, high)
    heard[begin - low : max(begin, end) - low] = rise[begin:end]
    spectrum = np.fft.rfft(heard)
    sums = np.empty((slopes.size, 2 * n_lags + 1), np.float32)
    for row, slope in zip(sums, slopes, strict=True):
        places = np.round(edges.at_s * (1.0 + slope) / bin_s).astype(np.int64) - low
        shown = np.bincount(places, edges.sign, size)
        both = np.fft.irfft(spectrum * np.conj(np.fft.rfft(shown)), size)
        row[:n_lags], row[n_lags:] = both[-n_lags:], both[: n_lags + 1]
    lags = np.arange(-n_lags, n_lags + 1) * bin_s
    at_slope, at_lag = np.unravel_index(int(np.argmax(sums)), sums.shape)
    best, deviation = float(sums[at_slope, at_lag]), float(sums.std())
    # Where the lines pass the middle of the cues tells them apart.
    middles = lags[None, :] + slopes[:, None] * float(edges.at_s.mean())
    others = sums[np.abs(middles - middles[at_slope, at_lag]) > _RUNNER_UP_S]
    second = max(0.0, float(others.max())) if others.size else 0.0
    line = _Line(float(lags[at_lag]), 1.0 + float(slopes[at_slope]))
    return line, best / deviation if deviation else 0.0, 1.0 - second / best if best > 0 else 0.0


def _nearby(edges: _Edges, rise: NDArray[np.float64], line: _Line, reach_s: float, *, turn: bool = True) -> _Line:
    """The best line of those whose ends are up to `reach_s` off; without `turn` only of its parallels."""
    n = round(reach_s / BIN_S)
    lags = np.arange(-n, n + 1)
    first_s = float(edges.at_s[0])
    best, best_sum = line, -np.inf
    for slope in (lags * BIN_S / edges.span_s) if turn else np.zeros(1):
        at = line.offset_s + edges.at_s * line.drift + (edges.at_s - first_s) * slope
        sums = _sums(at, edges.sign, rise, lags)
        top = int(np.argmax(sums))
        if sums[top] > best_sum:
            lag_s = float(lags[top] + _peak(sums, top)) * BIN_S
            best, best_sum = _Line(line.offset_s - first_s * slope + lag_s, line.drift + slope), sums[top]
    return best


def _sums(
    at_s: NDArray[np.float64], sign: NDArray[np.float64], rise: NDArray[np.float64], lags: NDArray[np.int64]
) -> NDArray[np.float64]:
    places = np.clip(np.round(at_s / BIN_S).astype(np.int64)[:, None] + lags, 0, rise.size - 1)
    return np.asarray(sign @ rise[places])


def _fit(edges: _Edges, rise: NDArray[np.float64], line: _Line) -> float:
    """What an edge adds to the sum of a line on average, -1..1."""
    at = edges.at_s * line.drift + line.offset_s
    return float(_sums(at, edges.sign, rise, np.zeros(1, np.int64))[0]) / edges.at_s.size


def _simplest(edges: _Edges, rise: NDArray[np.float64], line: _Line, least_gain: float) -> _Line:
    """A line near this one that fits nearly as well: without drift, where one gains too little, or a known one."""
    middle_s, best = float(edges.at_s.mean()), _fit(edges, rise, line)
    for drift in _SIMPLE_DRIFTS:
        enough = best - least_gain / 2.0 if drift == 1.0 else _SIMPLER * best
        if abs(drift - line.drift) * edges.span_s < _SIMPLE_S:
            turned = _Line(line.offset_s + (line.drift - drift) * middle_s, drift)
            simple = _nearby(edges, rise, turned, _NEAR_S, turn=False)
            if _fit(edges, rise, simple) >= enough:
                return simple
    return line


def _peak(values: NDArray[np.float64], top: int) -> float:
    """Where between the bins the largest value lies: the top of the parabola through three."""
    if not 0 < top < values.size - 1:
        return 0.0
    left, middle, right = (float(v) for v in values[top - 1 : top + 2])
    bend = left - 2.0 * middle + right
    return 0.5 * (left - right) / bend if bend < 0 else 0.0
