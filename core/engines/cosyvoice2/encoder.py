"""The flow's encoder: speech tokens at 25 Hz to mel-rate features, looking three tokens ahead and blocks back.

A pre-norm transformer with relative positions (Dai et al., 2019, in ESPnet's form), doubled in rate half way.
Tensor names are those of the released `flow.pt`.
"""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.engines.cosyvoice2.streaming import Chunk, Grid, Memory, begin

UPSAMPLING = 2
_EPS = 1e-12  # of the layers' norms, as released


def sinusoid(distances: Tensor, dim: int) -> Tensor:
    """Encodings [N, dim] of signed distances [N]: sines in even places, cosines in odd ones."""
    rates = torch.exp(torch.arange(0, dim, 2, dtype=torch.float32) * -(math.log(10000.0) / dim))
    angles = distances.float()[:, None] * rates
    return torch.stack([angles.sin(), angles.cos()], dim=2).flatten(1)


class RelativeAttention(nn.Module):
    """Self-attention whose scores add a term for the distance between query and key."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads, self.head_dim = heads, dim // heads
        self.linear_q, self.linear_k = nn.Linear(dim, dim), nn.Linear(dim, dim)
        self.linear_v, self.linear_out = nn.Linear(dim, dim), nn.Linear(dim, dim)
        self.linear_pos = nn.Linear(dim, dim, bias=False)
        self.pos_bias_u = nn.Parameter(torch.zeros(heads, self.head_dim))
        self.pos_bias_v = nn.Parameter(torch.zeros(heads, self.head_dim))

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(2, (self.heads, self.head_dim)).transpose(1, 2)

    def forward(self, x: Tensor, chunk: Chunk) -> Tensor:
        """`x` [B, T, dim] to the same shape. `chunk.shared` holds "encodings" and "places" of the distances."""
        query = self._split(self.linear_q(x))
        key, value = chunk.attend(self, self._split(self.linear_k(x)), self._split(self.linear_v(x)))
        encodings = self._split(self.linear_pos(chunk.shared["encodings"].to(x.dtype)))
        by_distance = (query + self.pos_bias_v[:, None]) @ encodings.transpose(2, 3)
        places = chunk.shared["places"].expand(*by_distance.shape[:2], -1, -1)
        bias = by_distance.gather(3, places) / math.sqrt(self.head_dim)
        if chunk.visible is not None:
            bias = bias.masked_fill(~chunk.visible, float("-inf"))
        mixed = F.scaled_dot_product_attention(query + self.pos_bias_u[:, None], key, value, attn_mask=bias)
        return self.linear_out(mixed.transpose(1, 2).flatten(2))


class _FeedForward(nn.Module):
    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.w_1, self.w_2 = nn.Linear(dim, hidden), nn.Linear(hidden, dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.w_2(F.silu(self.w_1(x)))


class _Layer(nn.Module):
    def __init__(self, dim: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.self_attn = RelativeAttention(dim, heads)
        self.feed_forward = _FeedForward(dim, hidden)
        self.norm_mha, self.norm_ff = nn.LayerNorm(dim, eps=_EPS), nn.LayerNorm(dim, eps=_EPS)

    def forward(self, x: Tensor, chunk: Chunk) -> Tensor:
        x = x + self.self_attn(self.norm_mha(x), chunk)
        return x + self.feed_forward(self.norm_ff(x))


class _Embedding(nn.Module):
    """Linear, norm, and the scale of transformers (square root of the width)."""

    def __init__(self, dim_in: int, dim: int) -> None:
        super().__init__()
        self.out = nn.Sequential(nn.Linear(dim_in, dim), nn.LayerNorm(dim, eps=1e-5))
        self.scale = math.sqrt(dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(x) * self.scale


class LookAhead(nn.Module):
    """Lets a token see the `ahead` that follow."""

    def __init__(self, dim: int, ahead: int, hidden: int | None = None) -> None:
        super().__init__()
        hidden = hidden or dim
        self.ahead = ahead
        self.conv1 = nn.Conv1d(dim, hidden, ahead + 1)
        self.conv2 = nn.Conv1d(hidden, dim, 3)

    def forward(self, x: Tensor, following: Tensor | None, chunk: Chunk) -> Tensor:
        """`x` [B, T, dim] and up to `ahead` that follow it; zeros stand for those after the end."""
        y = x if following is None else torch.cat([x, following], dim=1)
        y = F.pad(y.transpose(1, 2), (0, self.ahead - (y.shape[1] - x.shape[1])))
        y = self.conv2(chunk.pad(self, F.leaky_relu(self.conv1(y)), 2))
        return y.transpose(1, 2) + x


class _Upsample(nn.Module):
    """Each frame twice, then a causal convolution: [B, C, T] to [B, C, 2 T]."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(dim, dim, 2 * UPSAMPLING + 1)

    def forward(self, x: Tensor, chunk: Chunk) -> Tensor:
        return self.conv(chunk.pad(self, x.repeat_interleave(UPSAMPLING, dim=2), 2 * UPSAMPLING))


class EncoderMemory:
    """Left context of an `Encoder`: of its layers before and after the rate doubles. `left` in tokens; None: all."""

    def __init__(self, left: int | None = None) -> None:
        self.before, self.after = Memory(left), Memory(None if left is None else left * UPSAMPLING)

    def clone(self) -> "EncoderMemory":
        """A copy that goes its own way."""
        twin = EncoderMemory()
        twin.before, twin.after = self.before.clone(), self.after.clone()
        return twin


class Encoder(nn.Module):
    """Embedded tokens to features at twice their rate."""

    def __init__(self, dim_in: int, dim: int, heads: int, hidden: int, layers: int, up_layers: int, ahead: int) -> None:
        super().__init__()
        self.dim = dim
        self.embed = _Embedding(dim_in, dim)
        self.pre_lookahead_layer = LookAhead(dim, ahead)
        self.encoders = nn.ModuleList(_Layer(dim, heads, hidden) for _ in range(layers))
        self.up_layer = _Upsample(dim)
        self.up_embed = _Embedding(dim, dim)
        self.up_encoders = nn.ModuleList(_Layer(dim, heads, hidden) for _ in range(up_layers))
        self.after_norm = nn.LayerNorm(dim, eps=1e-5)

    def forward(self, x: Tensor, ahead: Tensor | None, grid: Grid, memory: EncoderMemory | None = None) -> Tensor:
        """`x` [B, T, dim_in] and up to `ahead` tokens that follow it (fewer near the end): [B, 2 T, dim].

        `grid` counts tokens.
        """
        device = x.device
        chunk = begin(x.shape[1], grid, memory.before if memory else None, device)
        x = self.pre_lookahead_layer(self.embed(x), None if ahead is None else self.embed(ahead), chunk)
        x = self._through(self.encoders, x, chunk)
        up_chunk = begin(x.shape[1] * UPSAMPLING, grid.scaled(UPSAMPLING), memory.after if memory else None, device)
        x = self.up_embed(self.up_layer(x.transpose(1, 2), up_chunk).transpose(1, 2))
        return self.after_norm(self._through(self.up_encoders, x, up_chunk))

    def _through(self, layers: Sequence[nn.Module] | nn.ModuleList, x: Tensor, chunk: Chunk) -> Tensor:
        lowest = int(chunk.queries[0] - chunk.keys.max())
        highest = int(chunk.queries[-1] - chunk.keys.min())
        chunk.shared["encodings"] = sinusoid(torch.arange(lowest, highest + 1), self.dim)[None].to(x.device)
        chunk.shared["places"] = (chunk.queries[:, None] - chunk.keys[None, :] - lowest).to(x.device)
        for layer in layers:
            x = layer(x, chunk)
        return x
