"""The estimator of CosyVoice2's flow: a causal U-Net of one level (no real down- or upsampling) with transformers.

Tensor names are those of the released `flow.pt`.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.engines.cosyvoice2.streaming import Chunk

_TIME_SCALE = 1000.0


def time_encoding(t: Tensor, dim: int) -> Tensor:
    """Sinusoids [B, dim] of times [B] in 0..1: sines, then cosines."""
    half = dim // 2
    rates = torch.exp(torch.arange(half, dtype=torch.float32, device=t.device) * -(math.log(10000) / (half - 1)))
    angles = _TIME_SCALE * t[:, None] * rates
    return torch.cat([angles.sin(), angles.cos()], dim=1)


class _TimeEmbedding(nn.Module):
    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.dim = dim
        self.linear_1, self.linear_2 = nn.Linear(dim, hidden), nn.Linear(hidden, hidden)

    def forward(self, t: Tensor) -> Tensor:
        return self.linear_2(F.silu(self.linear_1(time_encoding(t, self.dim).to(self.linear_1.weight.dtype))))


class CausalConv(nn.Conv1d):
    """A convolution that sees the present and the past."""

    def forward(self, x: Tensor, chunk: Chunk) -> Tensor:  # type: ignore[override]
        return super().forward(chunk.pad(self, x, self.kernel_size[0] - 1))


class _Turned(nn.LayerNorm):
    """Layer norm over the channels of [B, C, T]."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.transpose(1, 2)).transpose(1, 2)


class _Block(nn.Module):
    """Causal convolution, norm, Mish. The released names count two transpositions as layers."""

    def __init__(self, dim_in: int, dim: int) -> None:
        super().__init__()
        self.block = nn.ModuleDict({"0": CausalConv(dim_in, dim, 3), "2": _Turned(dim)})

    def forward(self, x: Tensor, chunk: Chunk) -> Tensor:
        return F.mish(self.block["2"](self.block["0"](x, chunk)))


class _ResNet(nn.Module):
    def __init__(self, dim_in: int, dim: int, time_dim: int) -> None:
        super().__init__()
        self.mlp = nn.Sequential(nn.Mish(), nn.Linear(time_dim, dim))
        self.block1, self.block2 = _Block(dim_in, dim), _Block(dim, dim)
        self.res_conv = nn.Conv1d(dim_in, dim, 1)

    def forward(self, x: Tensor, time: Tensor, chunk: Chunk) -> Tensor:
        y = self.block1(x, chunk) + self.mlp(time)[:, :, None]
        return self.block2(y, chunk) + self.res_conv(x)


class _Attention(nn.Module):
    def __init__(self, dim: int, heads: int, head_dim: int) -> None:
        super().__init__()
        self.heads, inner = heads, heads * head_dim
        self.to_q, self.to_k, self.to_v = (nn.Linear(dim, inner, bias=False) for _ in range(3))
        self.to_out = nn.ModuleList([nn.Linear(inner, dim)])

    def forward(self, x: Tensor, chunk: Chunk) -> Tensor:
        query, key, value = (
            project(x).unflatten(2, (self.heads, -1)).transpose(1, 2) for project in (self.to_q, self.to_k, self.to_v)
        )
        key, value = chunk.attend(self, key, value)
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=chunk.visible)
        return self.to_out[0](mixed.transpose(1, 2).flatten(2))


class _Projected(nn.Module):
    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.proj = nn.Linear(dim, hidden)

    def forward(self, x: Tensor) -> Tensor:
        return F.gelu(self.proj(x))


class _FeedForward(nn.Module):
    def __init__(self, dim: int) -> None:
        super().__init__()
        self.net = nn.Sequential(_Projected(dim, 4 * dim), nn.Identity(), nn.Linear(4 * dim, dim))

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)


class _Transformer(nn.Module):
    def __init__(self, dim: int, heads: int, head_dim: int) -> None:
        super().__init__()
        self.norm1, self.norm3 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.attn1, self.ff = _Attention(dim, heads, head_dim), _FeedForward(dim)

    def forward(self, x: Tensor, chunk: Chunk) -> Tensor:
        x = x + self.attn1(self.norm1(x), chunk)
        return x + self.ff(self.norm3(x))


class Estimator(nn.Module):
    """The velocity of mel frames at a time of the flow."""

    def __init__(
        self,
        *,
        in_channels: int,
        out_channels: int,
        channels: int,
        heads: int,
        head_dim: int,
        n_blocks: int,
        mid_blocks: int,
    ) -> None:
        super().__init__()
        time_dim = channels * 4

        def level(dim_in: int, conv: bool) -> nn.ModuleList:
            transformers = nn.ModuleList(_Transformer(channels, heads, head_dim) for _ in range(n_blocks))
            parts: list[nn.Module] = [_ResNet(dim_in, channels, time_dim), transformers]
            return nn.ModuleList([*parts, CausalConv(channels, channels, 3)] if conv else parts)

        self.time_mlp = _TimeEmbedding(in_channels, time_dim)
        self.down_blocks = nn.ModuleList([level(in_channels, True)])
        self.mid_blocks = nn.ModuleList(level(channels, False) for _ in range(mid_blocks))
        self.up_blocks = nn.ModuleList([level(2 * channels, True)])
        self.final_block = _Block(channels, channels)
        self.final_proj = nn.Conv1d(channels, out_channels, 1)

    def forward(self, x: Tensor, mu: Tensor, t: Tensor, spk: Tensor, cond: Tensor, chunk: Chunk) -> Tensor:
        """Frames `x`, encoded tokens `mu`, prompt frames `cond` [B, 80, T], times `t` [B], speaker [B, 80]."""
        time = self.time_mlp(t)
        x = torch.cat([x, mu, spk[:, :, None].expand(-1, -1, x.shape[2]), cond], dim=1)
        down, up = next(iter(self.down_blocks)), next(iter(self.up_blocks))
        x = skipped = self._level(down, x, time, chunk)
        x = down.get_submodule("2")(x, chunk)
        for level in self.mid_blocks:
            x = self._level(level, x, time, chunk)
        x = self._level(up, torch.cat([x, skipped], dim=1), time, chunk)
        x = self.final_block(up.get_submodule("2")(x, chunk), chunk)
        return self.final_proj(x)

    @staticmethod
    def _level(level: nn.Module, x: Tensor, time: Tensor, chunk: Chunk) -> Tensor:
        assert isinstance(level, nn.ModuleList)
        transformers = level[1]
        assert isinstance(transformers, nn.ModuleList)
        x = level[0](x, time, chunk).transpose(1, 2)
        for transformer in transformers:
            x = transformer(x, chunk)
        return x.transpose(1, 2)
