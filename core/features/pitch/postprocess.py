"""What happens to a pitch track after the predictor: frame grids and the gaps between voiced stretches.

f0 is in Hz and 0 where unvoiced unless a name says ``interpolated``.
"""

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.floating]

# Between two voiced frames further apart than this (a third of an octave) the pitch has jumped, and a
# value in the middle belongs to neither side.
_JUMP_RATIO = 2.0 ** (4 / 12)


def interpolate(f0: FloatArray, frame_s: float | None = None) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Bridge unvoiced stretches linearly; before the first and after the last voiced frame hold its value.

    Args:
        f0: [T] Hz, 0 where unvoiced.
        frame_s: seconds a frame; given, the times of voiced frames are rounded to float32, as 4.1 does after pm, dio
            and harvest (it moves values by a hundred-thousandth, and serves comparisons only).

    Returns:
        f0 interpolated [T] Hz (all 0 when nothing is voiced), and uv [T]: 1 voiced, 0 unvoiced.
    """
    voiced = f0 > 0
    uv = voiced.astype(np.float32)
    known = np.flatnonzero(voiced)
    if known.size == 0:
        return np.zeros(f0.shape, np.float32), uv
    times = known if frame_s is None else (known.astype(np.float32) * np.float32(frame_s)).astype(np.float64) / frame_s
    filled = np.interp(np.arange(f0.size), times, f0[known])
    return filled.astype(np.float32), uv


def resize_nearest(f0: FloatArray, n_frames: int) -> FloatArray:
    """Nearest-neighbour resize over the whole length, as 4.1 treats rmvpe, fcpe and crepe tracks.

    Args:
        f0: [L].
        n_frames: T.

    Returns:
        [T], frame i taken from floor(i * L / T).
    """
    if n_frames == 0 or f0.size == 0:
        return np.zeros(n_frames, f0.dtype)
    return f0[np.arange(n_frames) * f0.size // n_frames]


def resize_linear(f0: FloatArray, n_frames: int) -> FloatArray:
    """Linear resize in which a value that would mix voiced and unvoiced is unvoiced, as 4.1 treats dio and harvest.

    Args:
        f0: [L] Hz, 0 where unvoiced.
        n_frames: T.

    Returns:
        [T].
    """
    if n_frames == 0 or f0.size == 0:
        return np.zeros(n_frames, f0.dtype)
    holes = np.where(f0 < 0.001, np.nan, f0)
    at = np.arange(n_frames) * f0.size / n_frames
    return np.nan_to_num(np.interp(at, np.arange(f0.size), holes))


def sample_track(f0: FloatArray, start_s: float, step_s: float, at_s: FloatArray) -> NDArray[np.float32]:
    """Read a pitch track at given times, without the drift of a resize over the whole length.

    Voicing comes from the nearest frame; between two voiced neighbours of about the same pitch the
    value is interpolated on a log scale.

    Args:
        f0: [L] Hz, 0 where unvoiced; frame k lies at ``start_s + k * step_s``.
        start_s, step_s: the track's own grid, seconds.
        at_s: [T] times wanted, seconds; outside the track the nearest frame counts.

    Returns:
        [T] Hz, 0 where unvoiced.
    """
    if f0.size == 0:
        return np.zeros(at_s.size, np.float32)
    position = np.clip((at_s - start_s) / step_s, 0, f0.size - 1)
    left = np.floor(position).astype(np.int64)
    right = np.minimum(left + 1, f0.size - 1)
    share = position - left
    nearest = np.where(share < 0.5, f0[left], f0[right]).astype(np.float64)
    low, high = np.minimum(f0[left], f0[right]), np.maximum(f0[left], f0[right])
    smooth = (low > 0) & (high < low * _JUMP_RATIO)
    log_left, log_right = (np.log2(np.maximum(f0[i], 1e-3)) for i in (left, right))
    between = np.exp2(log_left + share * (log_right - log_left))
    return np.where(smooth, between, nearest).astype(np.float32)
