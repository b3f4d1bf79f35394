"""The NSF-HiFi-GAN decoder: transposed convolutions with residual blocks, driven by latents and a harmonic source."""

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import ClassVar, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.nn.noise import Noise
from core.nn.nsf import HarmonicSource
from core.nn.weight_norm import NormedConv1d, NormedConvTranspose1d

SLOPE = 0.1
# The last activation has PyTorch's default slope; the checkpoints were trained with it.
LAST_SLOPE = 0.01


class ResBlock1(nn.Module):
    """Per dilation d: x + conv(lrelu(conv_d(lrelu(x)))). [B, C, N] to the same shape."""

    def __init__(self, channels: int, kernel_size: int, dilations: Sequence[int]) -> None:
        super().__init__()
        reach = kernel_size // 2
        self.convs1 = nn.ModuleList(
            [NormedConv1d(channels, channels, kernel_size, dilation=d, padding=reach * d) for d in dilations]
        )
        self.convs2 = nn.ModuleList([NormedConv1d(channels, channels, kernel_size, padding=reach) for _ in dilations])

    def forward(self, x: Tensor) -> Tensor:
        for conv_1, conv_2 in zip(self.convs1, self.convs2, strict=True):
            x = x + conv_2(F.leaky_relu(conv_1(F.leaky_relu(x, SLOPE)), SLOPE))
        return x


class ResBlock2(nn.Module):
    """For each of the first two dilations d: x + conv_d(lrelu(x)). [B, C, N] to the same shape.

    Two, however many a config lists: HiFi-GAN's second kind of block has no more.
    """

    def __init__(self, channels: int, kernel_size: int, dilations: Sequence[int]) -> None:
        super().__init__()
        reach = kernel_size // 2
        self.convs = nn.ModuleList(
            [NormedConv1d(channels, channels, kernel_size, dilation=d, padding=reach * d) for d in dilations[:2]]
        )

    def forward(self, x: Tensor) -> Tensor:
        for conv in self.convs:
            x = x + conv(F.leaky_relu(x, SLOPE))
        return x


class NsfHifiGan(nn.Module):
    """Latents and pitch to a waveform; the tensor names are those of so-vits-svc's decoder.

    `gin_channels` 0 makes a decoder without a speaker's condition, as vocoders are.
    """

    blocks: ClassVar[Mapping[str, Callable[..., nn.Module]]] = {"1": ResBlock1, "2": ResBlock2}

    def __init__(
        self,
        in_channels: int,
        initial_channels: int,
        upsample_rates: Sequence[int],
        upsample_kernel_sizes: Sequence[int],
        resblock: str,
        resblock_kernel_sizes: Sequence[int],
        resblock_dilation_sizes: Sequence[Sequence[int]],
        gin_channels: int,
        rate_hz: int,
    ) -> None:
        super().__init__()
        self.rates = tuple(upsample_rates)
        self.n_blocks = len(resblock_kernel_sizes)
        self.m_source: nn.Module = self.source(rate_hz, prod(self.rates))
        self.conv_pre = NormedConv1d(in_channels, initial_channels, 7, padding=3)
        self.noise_convs, self.ups, self.resblocks = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        channels = [initial_channels >> stage for stage in range(len(self.rates) + 1)]
        for stage, (rate, kernel_size) in enumerate(zip(self.rates, upsample_kernel_sizes, strict=True)):
            before, after = channels[stage : stage + 2]
            pad = (kernel_size - rate + 1) // 2
            self.ups.append(NormedConvTranspose1d(before, after, kernel_size, rate, padding=pad))
            self.noise_convs.append(self._noise_conv(after, prod(self.rates[stage + 1 :])))
            for size, dilations in zip(resblock_kernel_sizes, resblock_dilation_sizes, strict=True):
                self.resblocks.append(self.blocks[resblock](after, size, dilations))
        self.add_activations(channels)
        self.conv_post = NormedConv1d(channels[-1], 1, 7, padding=3)
        self.cond = nn.Conv1d(gin_channels, initial_channels, 1) if gin_channels else None

    @staticmethod
    def _noise_conv(channels: int, stride: int) -> nn.Conv1d:
        """Brings the source at full rate down by `stride` to a stage's rate."""
        if stride == 1:
            return nn.Conv1d(1, channels, 1)
        return nn.Conv1d(1, channels, 2 * stride, stride, padding=(stride + 1) // 2)

    @staticmethod
    def source(rate_hz: int, hop: int) -> nn.Module:
        """The excitation: a module of (f0 [B, T], noise) to [B, 1, T * hop]."""
        return HarmonicSource(rate_hz, hop)

    def add_activations(self, channels: Sequence[int]) -> None:
        """A place for activations with parameters; `channels` before each upsampling and after the last."""

    def activate(self, x: Tensor, stage: int) -> Tensor:
        """The activation before the stage's upsampling."""
        return F.leaky_relu(x, SLOPE)

    def activate_last(self, x: Tensor) -> Tensor:
        """The activation before the last convolution."""
        return F.leaky_relu(x, LAST_SLOPE)

    def synthesise(self, z: Tensor, source: Tensor, condition: Tensor | None = None) -> Tensor:
        """Latents [B, C, T] and excitation [B, 1, T * hop] to a waveform [B, 1, T * hop] in -1..1."""
        x = self.conv_pre(z)
        if self.cond is not None:
            x = x + self.cond(condition)
        for stage, (up, noise_conv) in enumerate(zip(self.ups, self.noise_convs, strict=True)):
            x = up(self.activate(x, stage)) + noise_conv(source)
            first = stage * self.n_blocks
            total = cast(Tensor, self.resblocks[first](x))
            for index in range(first + 1, first + self.n_blocks):
                total = total + self.resblocks[index](x)
            x = total / self.n_blocks
        return torch.tanh(self.conv_post(self.activate_last(x)))

    def forward(self, z: Tensor, f0: Tensor, condition: Tensor | None, noise: Noise) -> Tensor:
        """Latents [B, C, T], pitch [B, T] in Hz (0 unvoiced), speaker [B, gin, 1 or T] to audio [B, 1, T * hop]."""
        return self.synthesise(z, self.m_source(f0, noise), condition)
