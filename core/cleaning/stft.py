"""Short-time spectra that give back the very samples they were made of."""

import numpy as np
from numpy.typing import NDArray

_STEPS = 4  # hops a window


def _window(size: int) -> NDArray[np.float32]:
    """Root of a periodic Hann window: used on the way there and back, its squares add up to 2 at four hops."""
    return np.sqrt(0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(size) / size)).astype(np.float32)


def stft(x: NDArray[np.float32], size: int) -> NDArray[np.complex64]:
    """Spectra of `x` [n] with windows of `size` samples, a quarter apart, [frames, size / 2 + 1]; n may be 0."""
    hop = size // _STEPS
    n_frames = -(-x.size // hop) + _STEPS - 1
    padded = np.zeros((n_frames - 1) * hop + size, np.float32)
    padded[size - hop : size - hop + x.size] = x
    frames = np.lib.stride_tricks.sliding_window_view(padded, size)[::hop]
    return np.fft.rfft(frames * _window(size), axis=1).astype(np.complex64)


def istft(spectrum: NDArray[np.complexfloating], size: int, n_samples: int) -> NDArray[np.float32]:
    """The samples [n_samples] whose `stft` this is."""
    hop = size // _STEPS
    frames = np.fft.irfft(spectrum, size, axis=1).astype(np.float32) * (_window(size) * (2.0 / _STEPS))
    out = np.zeros((frames.shape[0] - 1) * hop + size, np.float32)
    for step in range(_STEPS):  # frames four hops apart do not touch, so each set is laid down at once
        part = frames[step::_STEPS].reshape(-1)
        out[step * hop : step * hop + part.size] += part
    return out[size - hop : size - hop + n_samples]
