"""f0 in 255 mel-spaced steps, the index into the generator's pitch embedding."""

import math

import torch

from core.features import F0_MAX_HZ, F0_MIN_HZ

N_BINS = 256


def _mel(f0_hz: float) -> float:
    return 1127.0 * math.log(1.0 + f0_hz / 700.0)


_SLOPE = (N_BINS - 2) / (_mel(F0_MAX_HZ) - _mel(F0_MIN_HZ))
_OFFSET = _mel(F0_MIN_HZ) * _SLOPE - 1.0


def f0_to_coarse(f0: torch.Tensor) -> torch.Tensor:
    """Quantise f0 as so-vits-svc 4.1 does.

    Values above about 1103 Hz round to 256 and become row 0, not 255. That is how the published
    checkpoints were trained, so it must stay.

    Args:
        f0: Hz, any shape, 0 where unvoiced.

    Returns:
        int64 of the same shape, 0..255; unvoiced and everything below 50 Hz is 1.
    """
    mel = 1127.0 * torch.log(1.0 + f0 / 700.0)
    scaled = torch.where(mel > 0, mel * _SLOPE - _OFFSET, mel)
    coarse = torch.round(scaled).long().clamp(min=1)
    return torch.where(coarse >= N_BINS, torch.zeros_like(coarse), coarse)
