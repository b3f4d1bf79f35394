"""Snake activations without aliasing, as BigVGAN (Lee et al., 2023) has them.

Snake (Ziyin et al., 2020) is x + sin^2(a x) / b. Its harmonics would fold back above half the sample rate, so it is
computed at twice the rate, between two low-pass filters.
"""

import math
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

TAPS = 12
RATIO = 2
_CUTOFF, _HALF_WIDTH = 0.5 / RATIO, 0.6 / RATIO  # of the doubled rate


def kaiser_lowpass(taps: int = TAPS, cutoff: float = _CUTOFF, half_width: float = _HALF_WIDTH) -> Tensor:
    """A windowed-sinc low-pass of an even number of taps and unit gain at 0 Hz, float32 [taps].

    `cutoff` and `half_width` (of the transition) are fractions of the sample rate. The window's shape follows Kaiser's
    formula for the attenuation that the width allows (Kaiser and Schafer, 1980).
    """
    attenuation = 2.285 * (taps // 2 - 1) * math.pi * 4 * half_width + 7.95
    if attenuation > 50:
        beta = 0.1102 * (attenuation - 8.7)
    else:
        beta = 0.5842 * (attenuation - 21) ** 0.4 + 0.07886 * (attenuation - 21) if attenuation >= 21 else 0.0
    window = torch.kaiser_window(taps, periodic=False, beta=beta)
    times = torch.arange(-(taps // 2), taps // 2) + 0.5
    kernel = 2 * cutoff * window * torch.sinc(2 * cutoff * times)
    return kernel / kernel.sum()


@lru_cache(maxsize=8)
def _kernel(device: torch.device, dtype: torch.dtype) -> Tensor:
    # Outside inference mode: a tensor made in it could never take part in training afterwards.
    with torch.inference_mode(False):
        return kaiser_lowpass().to(device, dtype)


class _Filter(nn.Module):
    """A place in checkpoints for the filter's taps.

    They are never read from there: the filter is a constant, and a file in half precision holds it rounded.
    """

    filter: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("filter", kaiser_lowpass().view(1, 1, TAPS))


class Upsample(_Filter):
    """[B, C, N] to [B, C, 2 N]; the ends are held."""

    def forward(self, x: Tensor) -> Tensor:
        channels = x.shape[1]
        pad = TAPS // RATIO - 1
        kernel = _kernel(x.device, x.dtype).expand(channels, 1, -1)
        y = RATIO * F.conv_transpose1d(F.pad(x, (pad, pad), "replicate"), kernel, stride=RATIO, groups=channels)
        cut = pad * RATIO + (TAPS - RATIO) // 2
        return y[..., cut : y.shape[-1] - cut]


class _LowPass(_Filter):
    """The filter before every other sample is dropped."""

    def forward(self, x: Tensor) -> Tensor:
        channels = x.shape[1]
        kernel = _kernel(x.device, x.dtype).expand(channels, 1, -1)
        padded = F.pad(x, (TAPS // 2 - 1, TAPS // 2), "replicate")
        return F.conv1d(padded, kernel, stride=RATIO, groups=channels)


class Downsample(nn.Module):
    """[B, C, 2 N] to [B, C, N]; the ends are held."""

    def __init__(self) -> None:
        super().__init__()
        self.lowpass = _LowPass()

    def forward(self, x: Tensor) -> Tensor:
        return self.lowpass(x)


class SnakeBeta(nn.Module):
    """x + sin^2(e^alpha x) / (e^beta + 1e-9), one alpha and beta a channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.zeros(channels))
        self.beta = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        alpha, beta = torch.exp(self.alpha).unsqueeze(1), torch.exp(self.beta).unsqueeze(1)
        return x + torch.sin(x * alpha).square() / (beta + 1e-9)


class AliasFreeSnake(nn.Module):
    """`SnakeBeta` at twice the rate. [B, C, N] to the same shape."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.act = SnakeBeta(channels)
        self.upsample = Upsample()
        self.downsample = Downsample()

    def forward(self, x: Tensor) -> Tensor:
        return self.downsample(self.act(self.upsample(x)))
