"""The NSF-HiFi-GAN decoder rearranged for a CPU: the same numbers to about 1e-6, in a fraction of the time.

Where the time goes, and what is done about it (figures: `python -m benchmarks svc`):

* Signals are rows [N, C], one row a sample, channels innermost. oneDNN's kernels for that layout run near the
  processor's peak for any number of channels; `conv1d` keeps channels outermost and copies the signal into blocks and
  back at every call, which costs more than the arithmetic once there are 64 channels or fewer.
* Long kernels on many channels go through short Fourier transforms (`core.nn.short_transform`): a third of the work.
* The residual blocks of a stage work through the signal in pieces of some megabytes with the overlap they need, so that
  memory is used again while it is in the cache, and peak memory does not grow with the clip.
* Activations write into the middle of zeros, so that no kernel has to pad, which some do slowly.
"""

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.nn.hifigan import LAST_SLOPE, SLOPE, NsfHifiGan, ResBlock1, ResBlock2
from core.nn.noise import Noise
from core.nn.short_transform import TransformedConv

PIECE_VALUES = 2**20
"""Values (rows times channels) of a piece. Measured: 4 MiB is as fast as anything from 2 to 8, and the machine's
caches are of that order."""
# Below these, a direct convolution is as fast (measured for 16 to 256 channels and 3, 7 and 11 taps).
_TRANSFORM_CHANNELS, _TRANSFORM_TAPS = 64, 7


def supported() -> bool:
    """Whether this build of torch has the kernels that make the rearrangement worth it."""
    return torch.backends.mkldnn.is_available() and torch.backends.mkl.is_available()


def _as_image(rows: Tensor) -> Tensor:
    """[N, C] as [1, C, 1, N] with channels innermost, without copying."""
    return rows.t()[None, :, None]


def _as_rows(image: Tensor) -> Tensor:
    """[1, C, 1, N] with channels innermost as [N, C]."""
    return image[0, :, 0].t().contiguous()


def _image_weight(weight: Tensor) -> Tensor:
    return weight.detach().unsqueeze(2).contiguous(memory_format=torch.channels_last)


class _DirectConv(nn.Module):
    """A convolution on rows; the caller pads by (k - 1) * dilation rows."""

    weight: Tensor
    bias: Tensor | None

    def __init__(self, weight: Tensor, bias: Tensor | None, dilation: int = 1) -> None:
        super().__init__()
        self.register_buffer("weight", _image_weight(weight))
        self.register_buffer("bias", bias)
        self.dilation, self.reach = dilation, (weight.shape[2] - 1) * dilation

    def rows_needed(self, n_rows: int) -> int:
        return n_rows + self.reach

    def forward(self, padded: Tensor, n_rows: int) -> Tensor:
        return _as_rows(F.conv2d(_as_image(padded), self.weight, self.bias, dilation=(1, self.dilation)))


class _SameConv(nn.Module):
    """A folded convolution that keeps the number of rows, by whichever way is faster."""

    def __init__(self, conv: nn.Conv1d) -> None:
        super().__init__()
        weight, dilation = conv.weight.detach(), conv.dilation[0]
        out_channels, in_channels, taps = weight.shape
        transformed = min(out_channels, in_channels) >= _TRANSFORM_CHANNELS and taps >= _TRANSFORM_TAPS
        bias = None if conv.bias is None else conv.bias.detach()
        self.way = (TransformedConv if transformed else _DirectConv)(weight, bias, dilation)
        self.pad = (taps - 1) * dilation // 2

    def _padded(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """A buffer for the input with zeros around, and the place in it where the rows of x belong."""
        n_rows, channels = x.shape
        buffer = x.new_empty(self.way.rows_needed(n_rows), channels)
        buffer[: self.pad].zero_()
        buffer[self.pad + n_rows :].zero_()
        return buffer, buffer[self.pad : self.pad + n_rows]

    def forward(self, x: Tensor) -> Tensor:
        """The convolution of x [N, I]: [N, O]."""
        buffer, place = self._padded(x)
        place.copy_(x)
        return cast(Tensor, self.way(buffer, x.shape[0]))

    def of_leaky(self, x: Tensor, slope: float = SLOPE) -> Tensor:
        """The convolution of the leaky ReLU of x [N, I]: [N, O]."""
        buffer, place = self._padded(x)
        torch.ops.aten.leaky_relu.out(x, slope, out=place)
        return cast(Tensor, self.way(buffer, x.shape[0]))


class _Upsample(nn.Module):
    """A folded transposed convolution, of the leaky ReLU of its input, which it overwrites."""

    weight: Tensor
    bias: Tensor | None

    def __init__(self, up: nn.ConvTranspose1d) -> None:
        super().__init__()
        self.register_buffer("weight", _image_weight(up.weight))
        self.register_buffer("bias", None if up.bias is None else up.bias.detach())
        self.stride, self.pad = up.stride[0], int(up.padding[0])

    def forward(self, x: Tensor) -> Tensor:
        image = _as_image(F.leaky_relu_(x, SLOPE))
        return _as_rows(F.conv_transpose2d(image, self.weight, self.bias, (1, self.stride), (0, self.pad)))


class _Strided(nn.Module):
    """A convolution of the one-channel source [N] to a stage's rate and channels: [N / stride, C]."""

    weight: Tensor
    bias: Tensor

    def __init__(self, conv: nn.Conv1d) -> None:
        super().__init__()
        self.register_buffer("weight", conv.weight.detach()[:, 0].t().contiguous())
        self.register_buffer("bias", cast(Tensor, conv.bias).detach())
        self.stride, self.pad = conv.stride[0], int(conv.padding[0])

    def forward(self, source: Tensor) -> Tensor:
        taps = self.weight.shape[0]
        windows = F.pad(source, (self.pad, self.pad)).unfold(0, taps, self.stride)
        return torch.addmm(self.bias, windows, self.weight)


class _Block(nn.Module):
    """A residual block of either kind: steps of one or two convolutions. `reach` is how far it looks, in rows."""

    def __init__(self, block: ResBlock1 | ResBlock2) -> None:
        super().__init__()
        if isinstance(block, ResBlock1):
            pairs = [[first, second] for first, second in zip(block.convs1, block.convs2, strict=True)]
        else:
            pairs = [[conv] for conv in block.convs]
        self.steps = nn.ModuleList(nn.ModuleList(_SameConv(cast(nn.Conv1d, conv)) for conv in pair) for pair in pairs)
        self.reach = sum(cast(_SameConv, conv).pad for step in self.steps for conv in cast(nn.ModuleList, step))

    def forward(self, x: Tensor) -> Tensor:
        total = x
        for step in self.steps:
            y = total
            for conv in cast(nn.ModuleList, step):
                y = cast(_SameConv, conv).of_leaky(y)
            total = y.add_(total)
        return total


class _Stage(nn.Module):
    """The mean of a stage's residual blocks, computed piece by piece."""

    def __init__(self, blocks: list[ResBlock1 | ResBlock2]) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(_Block(block) for block in blocks)

    def forward(self, x: Tensor) -> Tensor:
        n_rows, channels = x.shape
        n_pieces = max(1, round(n_rows * channels / PIECE_VALUES))
        size = -(-n_rows // n_pieces)
        out = torch.empty_like(x)
        for start in range(0, n_rows, size):
            end = min(start + size, n_rows)
            place = out[start:end].zero_()
            for block in self.blocks:
                # At the ends of the clip there is nothing to overlap with: there the zeros of padding are the truth.
                reach = cast(_Block, block).reach
                low, high = max(0, start - reach), min(n_rows, end + reach)
                place.add_(block(x[low:high])[start - low : end - low])
            place.div_(len(self.blocks))
        return out


class FastNsfHifiGan(nn.Module):
    """A decoder made from an `NsfHifiGan` whose weight norm is folded. For inference on a CPU."""

    def __init__(self, decoder: NsfHifiGan) -> None:
        super().__init__()
        self.m_source, self.cond = decoder.m_source, decoder.cond
        self.conv_pre = _SameConv(cast(nn.Conv1d, decoder.conv_pre))
        self.ups = nn.ModuleList(_Upsample(cast(nn.ConvTranspose1d, up)) for up in decoder.ups)
        self.noise_convs = nn.ModuleList(_Strided(cast(nn.Conv1d, conv)) for conv in decoder.noise_convs)
        blocks = [cast(ResBlock1 | ResBlock2, block) for block in decoder.resblocks]
        firsts = range(0, len(blocks), decoder.n_blocks)
        self.stages = nn.ModuleList(_Stage(blocks[first : first + decoder.n_blocks]) for first in firsts)
        self.conv_post = _SameConv(cast(nn.Conv1d, decoder.conv_post))

    def synthesise(self, z: Tensor, source: Tensor, condition: Tensor | None = None) -> Tensor:
        """As `NsfHifiGan.synthesise`: latents [B, C, T], excitation [B, 1, N], speaker [B, gin, 1 or T]; [B, 1, N]."""
        speaker = None if self.cond is None else self.cond(condition)
        items = [
            self._one(z[i].t(), source[i, 0], None if speaker is None else speaker[i].t()) for i in range(z.shape[0])
        ]
        return torch.stack(items).unsqueeze(1)

    def _one(self, z: Tensor, source: Tensor, speaker: Tensor | None) -> Tensor:
        """One clip: latents [T, C], excitation [N], speaker rows [1 or T, initial channels]; returns [N]."""
        x = self.conv_pre(z)
        if speaker is not None:
            x = x.add_(speaker)
        for up, noise_conv, stage in zip(self.ups, self.noise_convs, self.stages, strict=True):
            x = stage(up(x).add_(noise_conv(source)))
        return torch.tanh_(self.conv_post.of_leaky(x, LAST_SLOPE)).squeeze(1)

    def forward(self, z: Tensor, f0: Tensor, condition: Tensor | None, noise: Noise) -> Tensor:
        """As `NsfHifiGan.forward`."""
        return self.synthesise(z, self.m_source(f0, noise), condition)
