"""Synthetic voices with a known pitch, and noises that have none."""

import numpy as np
from numpy.typing import NDArray

HOP_S = 512 / 44100


def glide(kind: str, duration_s: float, rate_hz: int) -> NDArray[np.float64]:
    """Return f0 [N] in Hz, one value a sample."""
    t = np.arange(round(duration_s * rate_hz)) / rate_hz
    if kind == "chirp":  # 80 to 800 Hz
        return 80 * 10 ** (t / duration_s)
    if kind == "fall":
        return 420 * 2 ** (-1.3 * t / duration_s)
    if kind == "vibrato":  # 5.5 a second, 70 cents each way
        return 220 * 2 ** (0.7 / 12 * np.sin(2 * np.pi * 5.5 * t))
    if kind == "low":
        return 84 + 3 * np.sin(2 * np.pi * t)
    if kind == "high":
        return 740 * 2 ** (0.5 / 12 * np.sin(2 * np.pi * 5 * t))
    raise ValueError(kind)


def voice(f0: NDArray[np.float64], rate_hz: int, top_hz: float = 7000.0) -> NDArray[np.float32]:
    """Sum harmonics below ``top_hz`` with 1/h amplitudes: [N] at about -14 dB peak."""
    phase = 2 * np.pi * np.cumsum(f0) / rate_hz
    out = np.zeros_like(phase)
    for h in range(1, 25):
        out += np.where(h * f0 < min(top_hz, 0.45 * rate_hz), np.sin(h * phase + h) / h, 0.0)
    return (0.2 * out / np.abs(out).max()).astype(np.float32)


def noise(kind: str, duration_s: float, rate_hz: int, seed: int = 0) -> NDArray[np.float32]:
    """Return white or pink noise [N]."""
    rng = np.random.default_rng(seed)
    white = rng.normal(size=round(duration_s * rate_hz))
    if kind == "white":
        return (0.1 * white).astype(np.float32)
    spectrum = np.fft.rfft(white)
    spectrum /= np.sqrt(np.arange(spectrum.size) + 10)
    pink = np.fft.irfft(spectrum)
    return (0.3 * pink / np.abs(pink).max()).astype(np.float32)


def truth_at_frames(f0: NDArray[np.float64], hop: int, n_frames: int) -> NDArray[np.float64]:
    """Return f0 [T] in the middle of each frame."""
    return f0[np.minimum(((np.arange(n_frames) + 0.5) * hop).astype(int), f0.size - 1)]
