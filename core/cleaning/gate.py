"""Spectral gating: in every band, what is no louder than the noise is turned down.

After Boll, "Suppression of acoustic noise in speech using spectral subtraction" (IEEE TASSP 27, 1979), with a gain that
is smoothed over time and frequency against the chirping that single open bins make.
"""

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter

from core.cleaning.blocks import Block, Source, overlapped
from core.cleaning.options import CleanOptions
from core.cleaning.stft import istft, stft

_WINDOW_S = 0.046
_BLOCK_S, _OVERLAP_S = 20.0, 2.0
_NOISE_QUANTILE = 0.15  # of each bin's power over a block: speech leaves every bin alone that often
_CLOSED_DB, _OPEN_DB = 4.0, 12.0  # above the noise
_SMOOTH = (3, 5)  # frames, bins


def gated(source: Source, options: CleanOptions) -> Iterator[Block]:
    """The step: as many samples out as in."""
    rate = source.rate_hz
    return overlapped(
        source.blocks(), lambda x: gate(x, rate, options.gate_db), round(_BLOCK_S * rate), round(_OVERLAP_S * rate)
    )


def gate(x: NDArray[np.float32], rate_hz: int, reduction_db: float) -> NDArray[np.float32]:
    """`x` [n] with its noise about `reduction_db` lower.

    The noise in a bin is taken from the 15th percentile of its power: in noise the power is distributed
    exponentially, whose quantile q lies at -ln(1 - q) times the mean. Between 4 and 12 dB above the noise the gate
    opens. Digital silence has no noise and passes.
    """
    size = 2 ** max(6, round(math.log2(_WINDOW_S * rate_hz)))
    spectrum = stft(x, size)
    power = np.square(np.abs(spectrum)) + 1e-20
    noise = np.quantile(power, _NOISE_QUANTILE, axis=0) / -math.log1p(-_NOISE_QUANTILE)
    # The filter keeps a running sum, whose rounding leaves less than nothing where a loud bin has passed.
    smooth = np.maximum(uniform_filter(power, _SMOOTH, mode="nearest"), 1e-20)
    above_db = 10.0 * np.log10(smooth / np.maximum(noise, 1e-20))
    openness = uniform_filter(np.clip((above_db - _CLOSED_DB) / (_OPEN_DB - _CLOSED_DB), 0.0, 1.0), _SMOOTH)
    gain = np.power(10.0, -reduction_db / 20.0 * (1.0 - openness)).astype(np.float32)
    return istft(spectrum * gain, size, x.size)
