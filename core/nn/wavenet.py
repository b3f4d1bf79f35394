"""The gated convolution stack (WN) of VITS: dilation 1, conditioned by one 1x1 convolution for all layers."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from core.nn.weight_norm import NormedConv1d


class SeparableConv1d(nn.Module):
    """A depthwise convolution, then a 1x1, each weight-normed; keeps the length. [B, C_in, T] to [B, C_out, T]."""

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, padding: int) -> None:
        super().__init__()
        self.depth_conv = NormedConv1d(in_channels, in_channels, kernel_size, padding=padding, groups=in_channels)
        self.point_conv = NormedConv1d(in_channels, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.point_conv(self.depth_conv(x))


class WaveNet(nn.Module):
    """Per layer: convolve to 2C, add the condition's slice, gate by tanh and sigmoid, 1x1 to residual and skip.

    `x` is [B, C, T], `mask` [B, 1, T], `condition` [B, gin, 1] or [B, gin, T]; returns the sum of the skips, masked.
    The last layer has a skip but no residual.
    """

    def __init__(
        self, channels: int, kernel_size: int, n_layers: int, gin_channels: int = 0, depthwise: bool = False
    ) -> None:
        super().__init__()
        self.channels, self.n_layers = channels, n_layers
        conv: Callable[..., nn.Module] = SeparableConv1d if depthwise else NormedConv1d
        self.in_layers = nn.ModuleList(
            [conv(channels, 2 * channels, kernel_size, padding=kernel_size // 2) for _ in range(n_layers)]
        )
        widths = [2 * channels] * (n_layers - 1) + [channels]
        self.res_skip_layers = nn.ModuleList([NormedConv1d(channels, width, 1) for width in widths])
        if gin_channels:
            self.cond_layer = NormedConv1d(gin_channels, 2 * channels * n_layers, 1)

    def forward(self, x: Tensor, mask: Tensor, condition: Tensor | None = None) -> Tensor:
        channels = self.channels
        slices: tuple[Tensor | None, ...] = (None,) * self.n_layers
        if condition is not None:
            slices = self.cond_layer(condition).split(2 * channels, dim=1)
        total: Tensor | None = None
        for index, (in_layer, out_layer) in enumerate(zip(self.in_layers, self.res_skip_layers, strict=True)):
            gates = in_layer(x)
            part = slices[index]
            if part is not None:
                gates = gates + part
            gated = torch.tanh(gates[:, :channels]) * torch.sigmoid(gates[:, channels:])
            out = out_layer(gated)
            if index < self.n_layers - 1:
                x = (x + out[:, :channels]) * mask
                out = out[:, channels:]
            total = out if total is None else total + out
        assert total is not None
        return total * mask
