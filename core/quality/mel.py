"""Log-mel frames of 16 kHz mono, for comparing clips; and the two things made of them: fingerprint and timbre.

Notation: T frames of 10 ms, M = 40 bands.
"""

from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dct

RATE_HZ = 16000
N_BANDS = 40
HOP = 160
_SIZE = 512
_LOW_HZ = 80.0
_HIGH_HZ = 7600.0
_ACTIVE_DB = 35.0
_PRINT_STEPS = 24
_PRINT_BANDS = 10
_N_CEPSTRA = 20
_BLOCK_FRAMES = 4096


@lru_cache(maxsize=1)
def _filters() -> NDArray[np.float32]:
    """Triangles spaced evenly on the mel scale m = 2595 log10(1 + f / 700) (O'Shaughnessy), [bins, M]."""
    mel_low, mel_high = (2595.0 * np.log10(1.0 + hz / 700.0) for hz in (_LOW_HZ, _HIGH_HZ))
    corners = 700.0 * (10.0 ** (np.linspace(mel_low, mel_high, N_BANDS + 2) / 2595.0) - 1.0)
    bins = np.arange(_SIZE // 2 + 1)[:, None] * RATE_HZ / _SIZE
    rising = (bins - corners[:-2]) / (corners[1:-1] - corners[:-2])
    falling = (corners[2:] - bins) / (corners[2:] - corners[1:-1])
    return np.maximum(0.0, np.minimum(rising, falling)).astype(np.float32)


def log_mel(audio16k: NDArray[np.float32]) -> NDArray[np.float32]:
    """Band levels [T, M], dB; audio [N] shorter than a frame is filled up, so T >= 1."""
    padded = np.pad(np.asarray(audio16k, np.float32), (0, max(0, _SIZE - audio16k.size)))
    frames = np.lib.stride_tricks.sliding_window_view(padded, _SIZE)[::HOP]
    window = np.hanning(_SIZE).astype(np.float32)
    parts = [
        np.square(np.abs(np.fft.rfft(frames[start : start + _BLOCK_FRAMES] * window, axis=1))).astype(np.float32)
        @ _filters()
        for start in range(0, frames.shape[0], _BLOCK_FRAMES)
    ]
    return np.asarray(10.0 * np.log10(np.concatenate(parts) + 1e-10), np.float32)


def _active(mel: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Frames within 35 dB of the loud ones, [T]."""
    levels = mel.max(axis=1)
    return np.asarray(levels >= np.percentile(levels, 95) - _ACTIVE_DB)


def fingerprint(mel: NDArray[np.float32]) -> NDArray[np.int8]:
    """What a clip sounds like over its course, [240]: the same take at another level, with other silence around it,
    through another codec or rate (down to 8 kHz in part) gives nearly the same direction.

    Active stretch, 24 steps in time by 10 bands, each band and each step about its own mean, scaled to int8.
    """
    active = np.flatnonzero(_active(mel))
    part = mel[active[0] : active[-1] + 1]
    floor = float(np.percentile(part.max(axis=1), 95)) - _ACTIVE_DB
    part = np.maximum(part, floor)  # the noise under the voice must not speak
    edges = np.linspace(0, part.shape[0], _PRINT_STEPS + 1)
    steps = np.stack([part[int(a) : max(int(a) + 1, int(b))].mean(axis=0) for a, b in pairwise(edges)])
    bands = steps.reshape(_PRINT_STEPS, _PRINT_BANDS, N_BANDS // _PRINT_BANDS).mean(axis=2)
    bands = bands - bands.mean(axis=0, keepdims=True)
    top = float(np.abs(bands).max())
    scaled = np.rint(bands * (127.0 / top)) if top > 0 else np.zeros_like(bands)
    return scaled.astype(np.int8).reshape(-1)


def active_s(mel: NDArray[np.float32]) -> float:
    """Seconds from the first to the last active frame."""
    active = np.flatnonzero(_active(mel))
    return float(active[-1] - active[0] + 1) * HOP / RATE_HZ


def timbre(mel: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mean and spread of cepstra 1..20 over the active frames, [40]: the long-term colour of a voice and its room."""
    cepstra = dct(mel[_active(mel)], type=2, norm="ortho", axis=1)[:, 1 : _N_CEPSTRA + 1]
    return np.concatenate([cepstra.mean(axis=0), cepstra.std(axis=0)]).astype(np.float32)
