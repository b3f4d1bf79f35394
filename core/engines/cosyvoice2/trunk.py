"""One pass through Qwen2's layers with a cache of fixed places: fewer operations than in the library's.

At batch 1 a token's time on a GPU is the time to launch its operations. Here the norms are single operations, keys and
values are written in their place instead of being joined anew, the heads that share a key go through as more queries,
and no shape depends on how many tokens came before: the position is a tensor, so the pass can be captured as a CUDA
graph for each size of cache. The weights stay where the library's modules hold them.
"""

from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor

if TYPE_CHECKING:
    from transformers import Qwen2Model

PLACES = 256  # a cache's room is a multiple


class TokenCache:
    """What one request's tokens left in each layer: keys and values [2, key heads, places, head dim]."""

    def __init__(self) -> None:
        self.seen = 0
        self.layers: list[Tensor] = []

    @property
    def memory_bytes(self) -> int:
        """What it holds."""
        return sum(one.numel() * one.element_size() for one in self.layers)

    def room_for(self, n_tokens: int, model: "Qwen2Model") -> int:
        """Make room for `n_tokens` more; returns the number of places. What is there stays."""
        config: Any = model.config
        like = model.embed_tokens.weight
        needed = self.seen + n_tokens
        held = self.layers[0].shape[2] if self.layers else 0
        if needed > held:
            places = -(-max(needed, 2 * held) // PLACES) * PLACES
            shape = (2, config.num_key_value_heads, places, head_dim(config))
            # Zeros: a place that was never written is masked, but must not be NaN.
            grown = [like.new_zeros(shape) for _ in range(config.num_hidden_layers)]
            for old, new in zip(self.layers, grown, strict=False):
                new[:, :, :held] = old
            self.layers = grown
        return self.layers[0].shape[2]


def head_dim(config: Any) -> int:
    """Of Qwen2's settings, which may leave it to the width."""
    return int(getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads)


def through(model: "Qwen2Model", x: Tensor, cache: TokenCache) -> Tensor:
    """Embeddings [1, n, dim] that follow what the cache holds, to normed hidden states of the same shape."""
    n_tokens, n_places = x.shape[1], cache.room_for(x.shape[1], model)
    at = torch.arange(cache.seen, cache.seen + n_tokens, device=x.device)
    cos, sin = (part[0, :, None] for part in model.rotary_emb(x, at[None]))
    half = sin.shape[-1] // 2
    turn = (cos, torch.cat([-sin[..., :half], sin[..., half:]], dim=-1))
    config: Any = model.config
    per_key = config.num_attention_heads // config.num_key_value_heads
    visible = (torch.arange(n_places, device=x.device)[None] <= at[:, None]).repeat(per_key, 1)
    y = x[0]
    for layer, stored in zip(model.layers, cache.layers, strict=True):
        y = y + _attended(layer.self_attn, _normed(layer.input_layernorm, y), turn, stored, at, visible)
        y = y + layer.mlp(_normed(layer.post_attention_layernorm, y))  # type: ignore[operator]  # a module
    cache.seen += n_tokens
    return _normed(model.norm, y)[None]


def _normed(norm: Any, x: Tensor) -> Tensor:
    return F.rms_norm(x, (x.shape[-1],), norm.weight, norm.variance_epsilon)


def _attended(
    attention: Any, x: Tensor, turn: tuple[Tensor, Tensor], stored: Tensor, at: Tensor, visible: Tensor
) -> Tensor:
    """`x` [n, dim] through one attention; its keys and values go to their places in `stored`."""
    _, n_keys, _, dim = stored.shape
    n = x.shape[0]
    query, key = (_turned(project(x).view(n, -1, dim), turn) for project in (attention.q_proj, attention.k_proj))
    value = attention.v_proj(x).view(n, -1, dim)
    stored.index_copy_(2, at, torch.stack([key, value]).transpose(1, 2))
    # [n, heads, dim] as [1, key heads, (heads a key) n, dim]: heads that share a key are more queries to it.
    queries = query.view(n, n_keys, -1, dim).permute(1, 2, 0, 3).reshape(1, n_keys, -1, dim)
    mixed = F.scaled_dot_product_attention(queries, stored[:1], stored[1:], attn_mask=visible)
    return attention.o_proj(mixed.view(n_keys, -1, n, dim).permute(2, 0, 1, 3).reshape(n, -1))


def _turned(x: Tensor, turn: tuple[Tensor, Tensor]) -> Tensor:
    """Rotary positions (Su et al., 2021) for `x` [n, heads, dim], whose halves are the pairs' two sides."""
    cos, sin = turn
    return torch.addcmul(x * cos, x.roll(x.shape[-1] // 2, dims=2), sin)
