"""True-peak measurement and a look-ahead limiter that keeps to a true-peak ceiling. Mono `[n]` or `[n, channels]`
float32; channels are turned down together, so that nothing moves between them.

Between two samples a wave can rise above both. Four times oversampling finds that to about 0.1 dB, which is how
BS.1770-4 defines a true peak.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import minimum_filter1d, uniform_filter1d
from scipy.signal import firwin

OVERSAMPLING = 4
_TAPS_PER_PHASE = 32
_BLOCK_SAMPLES = 8192
_REACH_S = 0.015  # long enough that the gain does not follow the periods of a voice, short enough not to be heard
_ROUNDS = 4
_PART_S = 60.0
_PART_CONTEXT_S = 0.25


def _kernel() -> NDArray[np.float32]:
    """Low-pass taps by phase, [phases - 1, taps]: phase 0 would be the samples themselves."""
    half = _TAPS_PER_PHASE // 2 * OVERSAMPLING
    taps = firwin(2 * half + 1, 1.0 / OVERSAMPLING, window=("kaiser", 8.0)) * OVERSAMPLING
    # Phase p reads samples i-15 .. i+16 for the point i + p/4: reversed, because a dot product does not flip.
    phases = [taps[p : p + _TAPS_PER_PHASE * OVERSAMPLING : OVERSAMPLING][::-1] for p in range(1, OVERSAMPLING)]
    return np.ascontiguousarray(np.stack(phases), dtype=np.float32)


_KERNEL = _kernel()
_BOUND = float(np.abs(_KERNEL).sum(axis=1).max())  # no interpolated point exceeds this times its neighbours' peak


def peak_track(x: NDArray[np.float32], floor: float = 0.0) -> NDArray[np.float32]:
    """Highest magnitude at and between each sample and the next, over all channels, [n]; 4x oversampled.

    Blocks that cannot hold a point above `floor` give their sample magnitudes only, which saves nearly all the work.
    """
    if x.ndim == 2:
        tracks = [peak_track(np.ascontiguousarray(channel), floor) for channel in x.T]
        return np.asarray(np.maximum.reduce(tracks), np.float32)
    magnitude = np.abs(x)
    n = x.size
    before = _TAPS_PER_PHASE // 2 - 1
    after = _TAPS_PER_PHASE // 2
    for start in range(0, n, _BLOCK_SAMPLES):
        end = min(n, start + _BLOCK_SAMPLES)
        low, high = max(0, start - before), min(n, end + after)
        if float(magnitude[low:high].max()) * _BOUND <= floor:
            continue
        part = np.zeros(end - start + _TAPS_PER_PHASE - 1, np.float32)
        part[low - (start - before) : high - (start - before)] = x[low:high]
        windows = np.lib.stride_tricks.sliding_window_view(part, _TAPS_PER_PHASE)
        between = np.abs(_KERNEL @ np.ascontiguousarray(windows).T).max(axis=0)
        np.maximum(magnitude[start:end], between, out=magnitude[start:end])
    return magnitude


def true_peak(x: NDArray[np.float32]) -> float:
    """Highest true peak of `x`, linear; 0 for no samples."""
    if x.size == 0:
        return 0.0
    sample_peak = float(np.abs(x).max())
    return float(peak_track(x, floor=sample_peak).max())


def limit(x: NDArray[np.float32], rate_hz: int, ceiling_dbtp: float = -1.0) -> NDArray[np.float32]:
    """`x` with its true peak at or below `ceiling_dbtp`; samples far from a peak are not touched.

    The gain that each point needs is held and smoothed over 15 ms before and after it, so that it moves slowly and
    still arrives in time. What the moving gain adds between the samples is taken out by repeating the step, and at
    last by a plain gain.
    """
    ceiling = 10.0 ** (ceiling_dbtp / 20.0)
    out = np.array(x, np.float32)
    goal = ceiling
    for _ in range(_ROUNDS):
        peaks = peak_track(out, floor=ceiling)
        peak = float(peaks.max()) if peaks.size else 0.0
        if peak <= ceiling:
            return out
        gain = _smooth(np.minimum(1.0, goal / np.maximum(peaks, 1e-12)), rate_hz)
        out = out * (gain[:, None] if out.ndim == 2 else gain)
        goal *= 0.998
    peak = true_peak(out)
    return out if peak <= ceiling else np.asarray(out * np.float32(ceiling / peak * 0.99999), np.float32)


def limit_in_place(out: NDArray[np.float32], rate_hz: int, ceiling_dbtp: float) -> bool:
    """`limit` of a long array that may lie in a file, part by part so that memory stays flat. True if it was needed."""
    ceiling = 10.0 ** (ceiling_dbtp / 20.0)
    span, context = round(_PART_S * rate_hz), round(_PART_CONTEXT_S * rate_hz)
    held = np.array(out[:0])  # samples before the part, as they were
    touched = False
    for start in range(0, out.shape[0], span):
        end = min(start + span, out.shape[0])
        part = np.concatenate([held, np.asarray(out[start : end + context])])
        lead = held.shape[0]
        held = np.array(out[max(start, end - context) : end])
        if true_peak(part) > ceiling:
            out[start:end] = limit(part, rate_hz, ceiling_dbtp)[lead : lead + end - start]
            touched = True
    return touched


def _smooth(needed: NDArray[np.floating], rate_hz: int) -> NDArray[np.float32]:
    """A slow gain [n] that is nowhere above `needed` [n].

    Every value is a weighted mean of minima, each taken over a window that holds the point itself, so none of them
    can be above what that point needs. Two running means after each other make the weights a triangle.
    """
    half = max(1, round(_REACH_S * rate_hz / 2))
    held = minimum_filter1d(np.asarray(needed, np.float64), 4 * half + 1, mode="nearest")
    for _ in range(2):
        held = uniform_filter1d(held, 2 * half + 1, mode="nearest")
    return np.asarray(held, np.float32)
