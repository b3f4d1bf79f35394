"""Transformer stacks of the VITS family on [B, C, T]: a windowed-relative encoder and a causal decoder.

Both are post-norm: x = norm(x + f(x)). Tensor names are those of so-vits-svc checkpoints.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class ChannelNorm(nn.Module):
    """Layer norm over the channels of [B, C, T], with parameters named `gamma` and `beta`."""

    def __init__(self, channels: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps
        self.gamma = nn.Parameter(torch.ones(channels))
        self.beta = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        normed = F.layer_norm(x.transpose(1, -1), self.gamma.shape, self.gamma, self.beta, self.eps)
        return normed.transpose(1, -1)


def place_band(band: Tensor, window: int) -> Tensor:
    """Put [..., T, 2w+1] onto the diagonals of a zero [..., T, T]: out[i, j] = band[i, j - i + w] where |j - i| <= w.

    Padding each row by T and reading the flat data in rows one shorter shifts row i by i places.
    """
    n_frames = band.shape[-2]
    width = n_frames + 2 * window
    flat = F.pad(band, (0, n_frames)).flatten(-2)[..., : n_frames * width]
    return flat.unflatten(-1, (n_frames, width))[..., window : window + n_frames]


def take_band(square: Tensor, window: int) -> Tensor:
    """The reverse: out[i, r] = square[i, i + r - w], 0 outside; [..., T, T] to [..., T, 2w+1]."""
    n_frames = square.shape[-1]
    width = n_frames + 2 * window
    flat = F.pad(F.pad(square, (window, window)).flatten(-2), (0, n_frames))
    return flat.unflatten(-1, (n_frames, width + 1))[..., : 2 * window + 1]


class SelfAttention(nn.Module):
    """Multi-head self-attention on [B, C, T].

    With `window` w, learned vectors for relative positions -w..w, shared by the heads, join keys and values (Shaw et
    al., 2018). With `causal`, a frame sees only itself and what came before; key weights then start as a copy of the
    query's, so that attention begins near the diagonal.
    """

    def __init__(
        self, channels: int, n_heads: int, dropout: float = 0.0, window: int | None = None, causal: bool = False
    ) -> None:
        super().__init__()
        self.n_heads, self.head_channels = n_heads, channels // n_heads
        self.dropout, self.window, self.causal = dropout, window, causal
        self.conv_q = nn.Conv1d(channels, channels, 1)
        self.conv_k = nn.Conv1d(channels, channels, 1)
        self.conv_v = nn.Conv1d(channels, channels, 1)
        self.conv_o = nn.Conv1d(channels, channels, 1)
        for conv in (self.conv_q, self.conv_k, self.conv_v):
            nn.init.xavier_uniform_(conv.weight)
        if causal:
            with torch.no_grad():
                for here, there in zip(self.conv_k.parameters(), self.conv_q.parameters(), strict=True):
                    here.copy_(there)
        if window is not None:
            shape = (1, 2 * window + 1, self.head_channels)
            self.emb_rel_k = nn.Parameter(torch.randn(shape) * self.head_channels**-0.5)
            self.emb_rel_v = nn.Parameter(torch.randn(shape) * self.head_channels**-0.5)

    def _heads(self, x: Tensor) -> Tensor:
        """[B, C, T] to [B, heads, T, C / heads]."""
        return x.unflatten(1, (self.n_heads, self.head_channels)).transpose(2, 3)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """`mask` is [B, 1, T]; keys in the padding are ignored. Causal attention needs no mask: padding comes last."""
        query, key, value = (self._heads(conv(x)) for conv in (self.conv_q, self.conv_k, self.conv_v))
        if self.window is None:
            dropout = self.dropout if self.training else 0.0
            padding = None if self.causal else mask.bool().unsqueeze(2)
            out = F.scaled_dot_product_attention(query, key, value, padding, dropout, is_causal=self.causal)
        else:
            out = self._windowed(query, key, value, mask)
        return self.conv_o(out.transpose(2, 3).flatten(1, 2))

    def _windowed(self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
        assert self.window is not None
        query = query / math.sqrt(self.head_channels)
        scores = query @ key.transpose(-2, -1) + place_band(query @ self.emb_rel_k.transpose(-2, -1), self.window)
        scores = scores.masked_fill(mask.unsqueeze(2) == 0, -1e4)
        weights = F.dropout(torch.softmax(scores, dim=-1), self.dropout, self.training)
        return weights @ value + take_band(weights, self.window) @ self.emb_rel_v


class FeedForward(nn.Module):
    """Two convolutions with ReLU between, over [B, C, T]; padded to the past only if causal."""

    def __init__(
        self, channels: int, filter_channels: int, kernel_size: int, dropout: float = 0.0, causal: bool = False
    ) -> None:
        super().__init__()
        self.conv_1 = nn.Conv1d(channels, filter_channels, kernel_size)
        self.conv_2 = nn.Conv1d(filter_channels, channels, kernel_size)
        self.dropout = dropout
        reach = kernel_size - 1
        self.pad = (reach, 0) if causal else (reach // 2, reach - reach // 2)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        x = torch.relu(self.conv_1(F.pad(x * mask, self.pad)))
        x = F.dropout(x, self.dropout, self.training)
        return self.conv_2(F.pad(x * mask, self.pad)) * mask


class RelativeEncoder(nn.Module):
    """The prior encoder's transformer: windowed relative attention, then feed-forward, each added and normed."""

    def __init__(
        self,
        channels: int,
        filter_channels: int,
        n_heads: int,
        n_layers: int,
        kernel_size: int,
        dropout: float = 0.0,
        window: int = 4,
    ) -> None:
        super().__init__()
        self.dropout = dropout
        self.attn_layers = nn.ModuleList(
            [SelfAttention(channels, n_heads, dropout, window=window) for _ in range(n_layers)]
        )
        self.norm_layers_1 = nn.ModuleList([ChannelNorm(channels) for _ in range(n_layers)])
        self.ffn_layers = nn.ModuleList(
            [FeedForward(channels, filter_channels, kernel_size, dropout) for _ in range(n_layers)]
        )
        self.norm_layers_2 = nn.ModuleList([ChannelNorm(channels) for _ in range(n_layers)])

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        x = x * mask
        layers = zip(self.attn_layers, self.norm_layers_1, self.ffn_layers, self.norm_layers_2, strict=True)
        for attention, norm_1, feed_forward, norm_2 in layers:
            x = norm_1(x + F.dropout(attention(x, mask), self.dropout, self.training))
            x = norm_2(x + F.dropout(feed_forward(x, mask), self.dropout, self.training))
        return x * mask


class CausalDecoder(nn.Module):
    """Causal transformer of the pitch decoder: no positions, everything looks back only."""

    def __init__(
        self,
        channels: int,
        filter_channels: int,
        n_heads: int,
        n_layers: int,
        kernel_size: int,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.dropout = dropout
        self.self_attn_layers = nn.ModuleList(
            [SelfAttention(channels, n_heads, dropout, causal=True) for _ in range(n_layers)]
        )
        self.norm_layers_0 = nn.ModuleList([ChannelNorm(channels) for _ in range(n_layers)])
        self.ffn_layers = nn.ModuleList(
            [FeedForward(channels, filter_channels, kernel_size, dropout, causal=True) for _ in range(n_layers)]
        )
        self.norm_layers_1 = nn.ModuleList([ChannelNorm(channels) for _ in range(n_layers)])

    def condition(self, x: Tensor, layer: int, condition: Tensor | None) -> Tensor:
        """A place for subclasses to mix a condition in before each layer; here there is none."""
        return x

    def forward(self, x: Tensor, mask: Tensor, condition: Tensor | None = None) -> Tensor:
        x = x * mask
        layers = zip(self.self_attn_layers, self.norm_layers_0, self.ffn_layers, self.norm_layers_1, strict=True)
        for index, (attention, norm_0, feed_forward, norm_1) in enumerate(layers):
            x = self.condition(x, index, condition)
            x = norm_0(x + F.dropout(attention(x, mask), self.dropout, self.training))
            x = norm_1(x + F.dropout(feed_forward(x, mask), self.dropout, self.training))
        return x * mask
