"""Spectrograms as so-vits-svc's networks see them (44.1 kHz, 2048-point Hann, hop 512).

Frames are those of a signal padded by (n_fft - hop) / 2 at each side by reflection, so that N samples give exactly
N // hop frames. Magnitudes carry a floor inside the root (1e-6), which also keeps the gradient finite at silence.
"""

import math
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

POWER_FLOOR = 1e-6
MEL_FLOOR = 1e-5

# Slaney's mel scale: linear up to 1 kHz (3 mels per 200 Hz), then 27 mels per factor of 6.4.
_LINEAR_HZ_PER_MEL = 200.0 / 3.0
_LOG_START_HZ = 1000.0
_LOG_START_MEL = _LOG_START_HZ / _LINEAR_HZ_PER_MEL
_LOG_STEP = math.log(6.4) / 27.0


def _mel_of_hz(hz: float, htk: bool) -> float:
    if htk:
        return 2595.0 * math.log10(1.0 + hz / 700.0)
    if hz < _LOG_START_HZ:
        return hz / _LINEAR_HZ_PER_MEL
    return _LOG_START_MEL + math.log(hz / _LOG_START_HZ) / _LOG_STEP


def _hz_of_mel(mel: np.ndarray, htk: bool) -> np.ndarray:
    if htk:
        return 700.0 * (10.0 ** (mel / 2595.0) - 1.0)
    linear = mel * _LINEAR_HZ_PER_MEL
    logarithmic = _LOG_START_HZ * np.exp(_LOG_STEP * (mel - _LOG_START_MEL))
    return np.where(mel < _LOG_START_MEL, linear, logarithmic)


@lru_cache(maxsize=16)
def mel_filterbank(
    rate_hz: int = 44100,
    n_fft: int = 2048,
    n_mels: int = 80,
    fmin_hz: float = 0.0,
    fmax_hz: float | None = None,
    htk: bool = False,
) -> np.ndarray:
    """Triangular mel filters of unit area, float32 [n_mels, n_fft // 2 + 1]; on Slaney's scale, or on HTK's."""
    top_hz = rate_hz / 2 if fmax_hz is None else fmax_hz
    edges_hz = _hz_of_mel(np.linspace(_mel_of_hz(fmin_hz, htk), _mel_of_hz(top_hz, htk), n_mels + 2), htk)
    bins_hz = np.arange(n_fft // 2 + 1) * (rate_hz / n_fft)
    left, centre, right = edges_hz[:-2, None], edges_hz[1:-1, None], edges_hz[2:, None]
    rising = (bins_hz - left) / (centre - left)
    falling = (right - bins_hz) / (right - centre)
    triangles = np.maximum(0.0, np.minimum(rising, falling))
    return (triangles * (2.0 / (right - left))).astype(np.float32)


@lru_cache(maxsize=16)
def hann(win: int, device: str) -> Tensor:
    """A Hann window [win] on a device."""
    # Kept for later calls: a tensor made in inference mode could never take part in training afterwards.
    with torch.inference_mode(False):
        return torch.hann_window(win, device=device)


@lru_cache(maxsize=16)
def mel_matrix(rate_hz: int, n_fft: int, n_mels: int, fmin_hz: float, fmax_hz: float | None, device: str) -> Tensor:
    """`mel_filterbank` as a tensor on a device."""
    with torch.inference_mode(False):
        return torch.from_numpy(mel_filterbank(rate_hz, n_fft, n_mels, fmin_hz, fmax_hz)).to(device)


def spectrogram(wav: Tensor, n_fft: int = 2048, hop: int = 512, win: int = 2048) -> Tensor:
    """Linear magnitude of a waveform [..., N] in -1..1, N > (n_fft - hop) / 2; returns [..., n_fft/2+1, N // hop].

    Computed in float32 whatever autocast says: half precision has no use for a floor of 1e-6.
    """
    with torch.autocast(wav.device.type, enabled=False):
        pad = (n_fft - hop) // 2
        batch = wav.float().reshape(-1, wav.shape[-1])
        padded = F.pad(batch.unsqueeze(1), (pad, pad), mode="reflect").squeeze(1)
        frames = torch.stft(
            padded, n_fft, hop, win, hann(win, str(wav.device)), center=False, onesided=True, return_complex=True
        )
        power = frames.real.square() + frames.imag.square()
        magnitude = torch.sqrt(power + POWER_FLOOR)
    return magnitude.reshape(*wav.shape[:-1], *magnitude.shape[-2:])


def mel_from_spectrogram(
    spec: Tensor, rate_hz: int = 44100, n_mels: int = 80, fmin_hz: float = 0.0, fmax_hz: float | None = None
) -> Tensor:
    """Natural-log mel of a linear magnitude [..., n_fft/2+1, T], floored at 1e-5; returns float32 [..., n_mels, T]."""
    n_fft = 2 * (spec.shape[-2] - 1)
    with torch.autocast(spec.device.type, enabled=False):
        basis = mel_matrix(rate_hz, n_fft, n_mels, fmin_hz, fmax_hz, str(spec.device))
        return torch.log(torch.clamp(basis @ spec.float(), min=MEL_FLOOR))


def mel_spectrogram(
    wav: Tensor,
    rate_hz: int = 44100,
    n_fft: int = 2048,
    hop: int = 512,
    win: int = 2048,
    n_mels: int = 80,
    fmin_hz: float = 0.0,
    fmax_hz: float | None = None,
) -> Tensor:
    """Natural-log mel of a waveform [..., N] in -1..1; returns float32 [..., n_mels, N // hop]."""
    return mel_from_spectrogram(spectrogram(wav, n_fft, hop, win), rate_hz, n_mels, fmin_hz, fmax_hz)
