"""The estimator of Fun-CosyVoice3's flow: a diffusion transformer (Peebles and Xie, 2023) with adaptive norms.

Tensor names are those of the released `flow.pt`. Only the first head turns with position: the rotary embedding was
applied to the heads laid side by side, and reaches as far as one of them.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.engines.cosyvoice2.streaming import Chunk
from core.engines.cosyvoice2.unet import time_encoding

_TIME_DIM, _POSITION_TAPS, _POSITION_GROUPS = 256, 31, 16


class _TimeEmbedding(nn.Module):
    def __init__(self, dim: int) -> None:
        super().__init__()
        self.time_mlp = nn.Sequential(nn.Linear(_TIME_DIM, dim), nn.SiLU(), nn.Linear(dim, dim))

    def forward(self, t: Tensor) -> Tensor:
        return self.time_mlp(time_encoding(t, _TIME_DIM).to(next(self.parameters()).dtype))


class _PositionConvs(nn.Module):
    """Two causal grouped convolutions on [B, T, dim]."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = (
            nn.Sequential(nn.Conv1d(dim, dim, _POSITION_TAPS, groups=_POSITION_GROUPS), nn.Mish()) for _ in range(2)
        )

    def forward(self, x: Tensor, chunk: Chunk) -> Tensor:
        x = x.transpose(1, 2)
        for conv in (self.conv1, self.conv2):
            x = conv(chunk.pad(conv, x, _POSITION_TAPS - 1))
        return x.transpose(1, 2)


class _InputEmbedding(nn.Module):
    def __init__(self, dim_in: int, dim: int) -> None:
        super().__init__()
        self.proj = nn.Linear(dim_in, dim)
        self.conv_pos_embed = _PositionConvs(dim)

    def forward(self, x: Tensor, chunk: Chunk) -> Tensor:
        x = self.proj(x)
        return self.conv_pos_embed(x, chunk) + x


class _Modulation(nn.Module):
    """`parts` vectors [B, 1, dim] from the time embedding."""

    def __init__(self, dim: int, parts: int) -> None:
        super().__init__()
        self.parts, self.linear = parts, nn.Linear(dim, parts * dim)

    def forward(self, time: Tensor) -> tuple[Tensor, ...]:
        return self.linear(F.silu(time))[:, None].chunk(self.parts, dim=2)


def _norm(x: Tensor) -> Tensor:
    return F.layer_norm(x, x.shape[-1:], eps=1e-6)


class _Rotation(nn.Module):
    """Rotary position embedding (Su et al., 2021); the frequencies are part of the released file."""

    inv_freq: Tensor

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.register_buffer("inv_freq", 1.0 / (10000 ** (torch.arange(0, dim, 2).float() / dim)))

    def angles(self, positions: Tensor) -> Tensor:
        """[T, dim]: each frequency twice, side by side."""
        turns = positions.to(self.inv_freq.device).float()[:, None] * self.inv_freq.float()
        return turns.repeat_interleave(2, dim=1)


def _rotate(x: Tensor, angles: Tensor) -> Tensor:
    """Turn the first components of `x` [B, T, C], in neighbouring pairs."""
    n_turned = angles.shape[1]
    turned, rest = x[..., :n_turned].float(), x[..., n_turned:]
    pairs = turned.unflatten(2, (-1, 2))
    quarter = torch.stack([-pairs[..., 1], pairs[..., 0]], dim=-1).flatten(2)
    return torch.cat([(turned * angles.cos() + quarter * angles.sin()).to(x.dtype), rest], dim=2)


class _Attention(nn.Module):
    def __init__(self, dim: int, heads: int, head_dim: int) -> None:
        super().__init__()
        self.heads, inner = heads, heads * head_dim
        self.to_q, self.to_k, self.to_v = (nn.Linear(dim, inner) for _ in range(3))
        self.to_out = nn.ModuleList([nn.Linear(inner, dim)])

    def forward(self, x: Tensor, angles: Tensor, chunk: Chunk) -> Tensor:
        turned = _rotate(self.to_q(x), angles), _rotate(self.to_k(x), angles), self.to_v(x)
        query, key, value = (part.unflatten(2, (self.heads, -1)).transpose(1, 2) for part in turned)
        key, value = chunk.attend(self, key, value)
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=chunk.visible)
        return self.to_out[0](mixed.transpose(1, 2).flatten(2))


class _FeedForward(nn.Module):
    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.ff = nn.Sequential(
            nn.Sequential(nn.Linear(dim, hidden), nn.GELU("tanh")), nn.Identity(), nn.Linear(hidden, dim)
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.ff(x)


class _Block(nn.Module):
    def __init__(self, dim: int, heads: int, head_dim: int, hidden: int) -> None:
        super().__init__()
        self.attn_norm = _Modulation(dim, 6)
        self.attn, self.ff = _Attention(dim, heads, head_dim), _FeedForward(dim, hidden)

    def forward(self, x: Tensor, time: Tensor, angles: Tensor, chunk: Chunk) -> Tensor:
        shift, scale, gate, shift_ff, scale_ff, gate_ff = self.attn_norm(time)
        x = x + gate * self.attn(_norm(x) * (1 + scale) + shift, angles, chunk)
        return x + gate_ff * self.ff(_norm(x) * (1 + scale_ff) + shift_ff)


class DitEstimator(nn.Module):
    """The velocity of mel frames at a time of the flow; the interface of `unet.Estimator`."""

    def __init__(
        self,
        *,
        mel_dim: int,
        mu_dim: int,
        spk_dim: int,
        dim: int,
        depth: int,
        heads: int,
        head_dim: int,
        ff_mult: float,
    ) -> None:
        super().__init__()
        self.time_embed = _TimeEmbedding(dim)
        self.input_embed = _InputEmbedding(2 * mel_dim + mu_dim + spk_dim, dim)
        self.rotary_embed = _Rotation(head_dim)
        hidden = math.floor(dim * ff_mult)
        self.transformer_blocks = nn.ModuleList(_Block(dim, heads, head_dim, hidden) for _ in range(depth))
        self.norm_out = _Modulation(dim, 2)
        self.proj_out = nn.Linear(dim, mel_dim)

    def forward(self, x: Tensor, mu: Tensor, t: Tensor, spk: Tensor, cond: Tensor, chunk: Chunk) -> Tensor:
        """Frames `x`, `mu`, `cond` [B, 80, T], times `t` [B], speaker [B, 80]; returns [B, 80, T]."""
        time = self.time_embed(t)
        parts = [x, cond, mu, spk[:, :, None].expand(-1, -1, x.shape[2])]
        x = self.input_embed(torch.cat(parts, dim=1).transpose(1, 2), chunk)
        angles = self.rotary_embed.angles(chunk.queries)
        for block in self.transformer_blocks:
            x = block(x, time, angles, chunk)
        scale, shift = self.norm_out(time)
        return self.proj_out(_norm(x) * (1 + scale) + shift).transpose(1, 2)
