"""Pitch as the so-vits-svc generator sees it: embedding bins, the log scale, and its normal form. On tensors."""

import math

import torch
from torch import Tensor

F0_MIN_HZ, F0_MAX_HZ = 50.0, 1100.0
N_BINS = 256


def mel_of_hz(hz: float) -> float:
    """The mel scale that the pitch embedding is spaced on."""
    return 1127.0 * math.log(1.0 + hz / 700.0)


_SCALE = (N_BINS - 2) / (mel_of_hz(F0_MAX_HZ) - mel_of_hz(F0_MIN_HZ))
_OFFSET = mel_of_hz(F0_MIN_HZ) * _SCALE - 1.0


def coarse_f0(f0: Tensor) -> Tensor:
    """Pitch in Hz to rows of the pitch embedding, int64 of the same shape: 1 for unvoiced and below 50 Hz, up to 255.

    Above about 1103 Hz the row is 0, not 255: trained checkpoints are used to that.
    """
    mel = 1127.0 * torch.log(1.0 + f0 / 700.0)
    bins = torch.round(torch.where(mel > 0, mel * _SCALE - _OFFSET, mel)).long()
    bins = bins.clamp(min=1)
    return torch.where(bins >= N_BINS, torch.zeros_like(bins), bins)


def log_f0(f0: Tensor) -> Tensor:
    """Pitch in Hz to the log scale that the pitch decoder works on (mel / 500); 0 stays 0."""
    return 2595.0 * torch.log10(1.0 + f0 / 700.0) / 500.0


def hz_of_log_f0(lf0: Tensor) -> Tensor:
    """The inverse of `log_f0`."""
    return 700.0 * (torch.pow(10.0, lf0 * 500.0 / 2595.0) - 1.0)


def normalize_log_f0(lf0: Tensor, mask: Tensor, uv: Tensor, scale: Tensor | None = None) -> Tensor:
    """Take the mean over voiced frames away from log pitch [B, 1, T], times `scale` [B], times `mask` [B, 1, T].

    `uv` [B, T] is 1 where voiced. A clip without any voiced frame keeps (almost) its values: its mean is taken as 0.
    """
    voiced = uv.sum(dim=1, keepdim=True)
    divisor = torch.where(voiced == 0, torch.full_like(voiced, 9999.0), voiced)
    mean = (lf0[:, 0] * uv).sum(dim=1, keepdim=True) / divisor
    normal = lf0 - mean.unsqueeze(1)
    if scale is not None:
        normal = normal * scale[:, None, None]
    return normal * mask
