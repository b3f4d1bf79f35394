"""How well a signal repeats at a given pitch: the voicing gate of predictors that have none of their own."""

import numpy as np
from numpy.typing import NDArray

from core.features.pitch.base import ANALYSIS_HZ

_SHORTEST_S = 0.015  # below this a window of two periods is so short that noise repeats by chance
_SILENT_RMS = 1e-4  # -80 dB


def periodicity(wav16k: NDArray[np.float32], f0: NDArray[np.float32], at_s: NDArray[np.float64]) -> NDArray[np.float32]:
    """Normalised cross-correlation of the two neighbouring windows one period apart.

    Args:
        wav16k: [N] samples at 16 kHz.
        f0: [T] Hz, 0 where there is nothing to judge.
        at_s: [T] frame centres, seconds.

    Returns:
        [T] -1..1; 0 where f0 is 0 or the signal is silent.
    """
    scores = np.zeros(f0.size, np.float32)
    for i in np.flatnonzero(f0 > 0):
        lag = round(ANALYSIS_HZ / float(f0[i]))
        width = max(lag, round(_SHORTEST_S * ANALYSIS_HZ))
        start = round(at_s[i] * ANALYSIS_HZ) - (width + lag) // 2
        start = max(0, min(start, wav16k.size - width - lag - 1))
        here = wav16k[start : start + width]
        norm_here = float(np.dot(here, here))
        if norm_here < width * _SILENT_RMS**2:
            continue
        # A rounded lag is up to half a sample off, which matters for bright high notes: take the best of three.
        for shift in (lag - 1, lag, lag + 1):
            there = wav16k[start + shift : start + shift + width]
            if there.size < width:
                continue
            norm = np.sqrt(norm_here * float(np.dot(there, there))) + 1e-12
            scores[i] = max(scores[i], float(np.dot(here, there)) / norm)
    return scores
