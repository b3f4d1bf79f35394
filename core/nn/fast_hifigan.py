"""The NSF-HiFi-GAN decoder rearranged for a CPU: the same numbers, about half the time.

Why it is faster (figures: `python -m benchmarks svc`):

* Signals are kept as [B, C, 1, N] with channels innermost (`channels_last`). oneDNN's 2-D kernels then run near the
  processor's peak for any channel count. PyTorch's `conv1d` has channels outermost and must copy the signal into
  blocks and back at every call, which costs more than the arithmetic once there are 64 channels or fewer.
* Dilated convolutions see zeros that are really there (the activation writes into the middle of a padded buffer),
  because the kernels' own padding falls back to a slower path.
* Activations and sums are done in place where the value is not needed again.
"""

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.nn.hifigan import LAST_SLOPE, SLOPE, NsfHifiGan, ResBlock1, ResBlock2
from core.nn.noise import Noise

_LAYOUT = torch.channels_last


def _wide(x: Tensor) -> Tensor:
    """[B, C, N] to [B, C, 1, N] with channels innermost."""
    return x.unsqueeze(2).contiguous(memory_format=_LAYOUT)


def _leaky_into_padded(x: Tensor, pad: int) -> Tensor:
    """Leaky ReLU of [B, C, 1, N] in the middle of a new [B, C, 1, N + 2 pad] whose ends are zero."""
    batch, channels, _, n_samples = x.shape
    shape = (batch, channels, 1, n_samples + 2 * pad)
    padded = torch.empty(shape, dtype=x.dtype, device=x.device, memory_format=_LAYOUT)
    padded[..., :pad].zero_()
    padded[..., pad + n_samples :].zero_()
    torch.ops.aten.leaky_relu.out(x, SLOPE, out=padded[..., pad : pad + n_samples])
    return padded


class _Conv(nn.Module):
    """A folded 1-D convolution as a 2-D one of height 1."""

    weight: Tensor
    bias: Tensor | None

    def __init__(self, conv: nn.Conv1d) -> None:
        super().__init__()
        self.register_buffer("weight", _wide(conv.weight.detach()))
        self.register_buffer("bias", None if conv.bias is None else conv.bias.detach())
        self.stride, self.dilation, self.pad = conv.stride[0], conv.dilation[0], int(conv.padding[0])

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, 1, N], padded here."""
        pad = (0, self.pad)
        return F.conv2d(x, self.weight, self.bias, (1, self.stride), pad, (1, self.dilation))

    def of_leaky(self, x: Tensor) -> Tensor:
        """The convolution of the leaky ReLU of x [B, C, 1, N]."""
        return F.conv2d(_leaky_into_padded(x, self.pad), self.weight, self.bias, dilation=(1, self.dilation))


class _Upsample(nn.Module):
    """A folded transposed convolution, of the leaky ReLU of its input, which it may overwrite."""

    weight: Tensor
    bias: Tensor | None

    def __init__(self, up: nn.ConvTranspose1d) -> None:
        super().__init__()
        self.register_buffer("weight", _wide(up.weight.detach()))
        self.register_buffer("bias", None if up.bias is None else up.bias.detach())
        self.stride, self.pad = up.stride[0], int(up.padding[0])

    def forward(self, x: Tensor) -> Tensor:
        x = F.leaky_relu_(x, SLOPE)
        return F.conv_transpose2d(x, self.weight, self.bias, (1, self.stride), (0, self.pad))


class _Block(nn.Module):
    """A residual block of either kind, as a list of steps of one or two convolutions."""

    def __init__(self, block: ResBlock1 | ResBlock2) -> None:
        super().__init__()
        if isinstance(block, ResBlock1):
            pairs = [[first, second] for first, second in zip(block.convs1, block.convs2, strict=True)]
        else:
            pairs = [[conv] for conv in block.convs]
        self.steps = nn.ModuleList(nn.ModuleList(_Conv(cast(nn.Conv1d, conv)) for conv in pair) for pair in pairs)

    def forward(self, x: Tensor) -> Tensor:
        total = x
        for step in self.steps:
            y = total
            for conv in cast(nn.ModuleList, step):
                y = cast(_Conv, conv).of_leaky(y)
            total = y.add_(total)
        return total


class FastNsfHifiGan(nn.Module):
    """A decoder made from an `NsfHifiGan` whose weight norm is folded. For inference on a CPU."""

    def __init__(self, decoder: NsfHifiGan) -> None:
        super().__init__()
        self.m_source, self.cond = decoder.m_source, decoder.cond
        self.conv_pre = _Conv(cast(nn.Conv1d, decoder.conv_pre))
        self.ups = nn.ModuleList(_Upsample(cast(nn.ConvTranspose1d, up)) for up in decoder.ups)
        self.noise_convs = nn.ModuleList(_Conv(cast(nn.Conv1d, conv)) for conv in decoder.noise_convs)
        self.resblocks = nn.ModuleList(_Block(cast(ResBlock1 | ResBlock2, block)) for block in decoder.resblocks)
        self.conv_post = _Conv(cast(nn.Conv1d, decoder.conv_post))
        self.n_blocks = decoder.n_blocks

    def synthesise(self, z: Tensor, source: Tensor, condition: Tensor) -> Tensor:
        """As `NsfHifiGan.synthesise`: latents [B, C, T], excitation [B, 1, N], speaker [B, gin, 1 or T]; [B, 1, N]."""
        wide_source = _wide(source)
        x = self.conv_pre(_wide(z)).add_(_wide(self.cond(condition)))
        for stage, (up, noise_conv) in enumerate(zip(self.ups, self.noise_convs, strict=True)):
            x = up(x).add_(noise_conv(wide_source))
            first = stage * self.n_blocks
            total = cast(Tensor, self.resblocks[first](x))
            for index in range(first + 1, first + self.n_blocks):
                total.add_(self.resblocks[index](x))
            x = total.div_(self.n_blocks)
        return torch.tanh_(self.conv_post(F.leaky_relu_(x, LAST_SLOPE))).squeeze(2)

    def forward(self, z: Tensor, f0: Tensor, condition: Tensor, noise: Noise) -> Tensor:
        """As `NsfHifiGan.forward`."""
        return self.synthesise(z, self.m_source(f0, noise), condition)
