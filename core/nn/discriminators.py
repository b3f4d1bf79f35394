"""The waveform discriminators of HiFi-GAN (Kong et al., 2020) in the layout that VITS uses.

Each takes a waveform [B, 1, N] and gives logits [B, L] and the list of its feature maps, the last of which are the
logits before flattening. Leaky-ReLU slope 0.1 throughout.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import spectral_norm

from core.nn.weight_norm import NormedConv1d, NormedConv2d

SLOPE = 0.1
WIDTH = 1024
"""Channels of the widest layers."""


def _conv1d(spectral: bool) -> Callable[..., nn.Module]:
    """The constructor of a normalised 1-D convolution."""
    if spectral:
        return lambda *args, **kwargs: spectral_norm(nn.Conv1d(*args, **kwargs))
    return NormedConv1d


def _conv2d(spectral: bool) -> Callable[..., nn.Module]:
    """The constructor of a normalised 2-D convolution."""
    if spectral:
        return lambda *args, **kwargs: spectral_norm(nn.Conv2d(*args, **kwargs))
    return NormedConv2d


class ScaleDiscriminator(nn.Module):
    """Strided, grouped 1-D convolutions over the waveform itself. `width`: channels of the widest; a multiple of 64."""

    def __init__(self, spectral: bool = False, width: int = WIDTH) -> None:
        super().__init__()
        conv = _conv1d(spectral)
        first, second, third = width // 64, width // 16, width // 4
        groups = [max(1, n * width // WIDTH) for n in (4, 16, 64, 256)]
        self.convs = nn.ModuleList(
            [
                conv(1, first, 15, 1, padding=7),
                conv(first, second, 41, 4, groups=groups[0], padding=20),
                conv(second, third, 41, 4, groups=groups[1], padding=20),
                conv(third, width, 41, 4, groups=groups[2], padding=20),
                conv(width, width, 41, 4, groups=groups[3], padding=20),
                conv(width, width, 5, 1, padding=2),
            ]
        )
        self.conv_post = conv(width, 1, 3, 1, padding=1)

    def forward(self, wav: Tensor) -> tuple[Tensor, list[Tensor]]:
        x, maps = wav, []
        for conv in self.convs:
            x = F.leaky_relu(conv(x), SLOPE)
            maps.append(x)
        x = self.conv_post(x)
        maps.append(x)
        return x.flatten(1), maps


class PeriodDiscriminator(nn.Module):
    """2-D convolutions over the waveform folded into columns of `period` samples; the columns never mix.

    `width`: channels of the widest; a multiple of 32.
    """

    def __init__(self, period: int, spectral: bool = False, width: int = WIDTH) -> None:
        super().__init__()
        self.period = period
        conv = _conv2d(spectral)
        widths = (1, width // 32, width // 8, width // 2, width)
        self.convs = nn.ModuleList([conv(i, o, (5, 1), (3, 1), padding=(2, 0)) for i, o in pairwise(widths)])
        self.convs.append(conv(width, width, (5, 1), 1, padding=(2, 0)))
        self.conv_post = conv(width, 1, (3, 1), 1, padding=(1, 0))

    def forward(self, wav: Tensor) -> tuple[Tensor, list[Tensor]]:
        batch, channels, n_samples = wav.shape
        remainder = n_samples % self.period
        x = F.pad(wav, (0, self.period - remainder), mode="reflect") if remainder else wav
        x = x.view(batch, channels, -1, self.period)
        maps = []
        for conv in self.convs:
            x = F.leaky_relu(conv(x), SLOPE)
            maps.append(x)
        x = self.conv_post(x)
        maps.append(x)
        return x.flatten(1), maps


class MultiPeriodDiscriminator(nn.Module):
    """One scale discriminator (index 0) and five period discriminators (2, 3, 5, 7, 11)."""

    def __init__(
        self, use_spectral_norm: bool = False, periods: Sequence[int] = (2, 3, 5, 7, 11), width: int = WIDTH
    ) -> None:
        super().__init__()
        parts: list[nn.Module] = [ScaleDiscriminator(use_spectral_norm, width)]
        parts += [PeriodDiscriminator(period, use_spectral_norm, width) for period in periods]
        self.discriminators = nn.ModuleList(parts)

    def forward(self, wav: Tensor) -> tuple[list[Tensor], list[list[Tensor]]]:
        """Judge waveforms [B, 1, N]: logits and feature maps, one entry a discriminator."""
        logits, maps = [], []
        for part in self.discriminators:
            score, features = cast(tuple[Tensor, list[Tensor]], part(wav))
            logits.append(score)
            maps.append(features)
        return logits, maps

    def judge(self, real: Tensor, fake: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Logits of real and of generated waveforms [B, 1, N] in one pass, for the discriminator's own step.

        One pass over 2B waveforms keeps the weights' normalisation and the kernels' set-up to once a step.
        """
        logits, _ = self(torch.cat([real, fake]))
        n_real = real.shape[0]
        return [score[:n_real] for score in logits], [score[n_real:] for score in logits]
