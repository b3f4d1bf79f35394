"""Normalising flows between prior and posterior: mean-only affine couplings with channel flips between them."""

from typing import cast

import torch
from torch import Tensor, nn

from core.nn.attention import CausalDecoder
from core.nn.wavenet import WaveNet
from core.nn.weight_norm import NormedConv1d

N_COUPLINGS = 4
KERNEL_SIZE = 5


class Coupling(nn.Module):
    """x1 becomes x1 + m(x0, condition), x0 stays; reversed, x1 - m. `x` is [B, C, T], split in half by channel.

    `enc` may be one module shared by all couplings of a flow. The last 1x1 starts at zero: a new flow does nothing.
    """

    def __init__(self, channels: int, hidden: int, enc: nn.Module) -> None:
        super().__init__()
        half = channels // 2
        self.pre = nn.Conv1d(half, hidden, 1)
        self.enc = enc
        self.post = nn.Conv1d(hidden, half, 1)
        nn.init.zeros_(self.post.weight)
        assert self.post.bias is not None
        nn.init.zeros_(self.post.bias)

    def forward(self, x: Tensor, mask: Tensor, condition: Tensor | None, reverse: bool) -> Tensor:
        kept, moved = x.chunk(2, dim=1)
        mean = self.post(self.enc(self.pre(kept) * mask, mask, condition)) * mask
        moved = (moved - mean if reverse else moved + mean) * mask
        return torch.cat([kept, moved], dim=1)


class Flip(nn.Module):
    """Reverses the channels. Takes a place in the list of steps, because checkpoints count it."""

    def forward(self, x: Tensor, mask: Tensor, condition: Tensor | None, reverse: bool) -> Tensor:
        return x.flip(1)


class CouplingFlow(nn.Module):
    """Couplings at even places of `flows`, flips at odd ones. Forward: posterior to prior space; reverse: back."""

    flows: nn.ModuleList

    def add_couplings(self, channels: int, hidden: int, encoders: list[nn.Module]) -> None:
        """Append one coupling and one flip per encoder."""
        for enc in encoders:
            self.flows.append(Coupling(channels, hidden, enc))
            self.flows.append(Flip())

    def forward(self, x: Tensor, mask: Tensor, condition: Tensor | None = None, reverse: bool = False) -> Tensor:
        steps = reversed(self.flows) if reverse else iter(self.flows)
        for step in steps:
            x = cast(Tensor, step(x, mask, condition, reverse))
        return x


class ResidualFlow(CouplingFlow):
    """Four couplings over WaveNets of `n_layers` layers; with `shared`, over one and the same WaveNet (`wn`)."""

    def __init__(
        self,
        channels: int,
        hidden: int,
        n_layers: int,
        gin_channels: int,
        *,
        depthwise: bool = False,
        shared: bool = False,
    ) -> None:
        super().__init__()

        def wavenet() -> WaveNet:
            return WaveNet(hidden, KERNEL_SIZE, n_layers, gin_channels, depthwise)

        # `flows` comes before `wn`: a state dict has the shared tensors under `wn` last, and in loading the last wins.
        self.flows = nn.ModuleList()
        if shared:
            self.wn = wavenet()
            encoders: list[nn.Module] = [self.wn] * N_COUPLINGS
        else:
            encoders = [wavenet() for _ in range(N_COUPLINGS)]
        self.add_couplings(channels, hidden, encoders)


class FlowTransformer(CausalDecoder):
    """A causal transformer whose layers each begin with a gate: tanh times sigmoid of a 1x1 plus the condition's slice.

    Takes the place of the WaveNet in a coupling; the gate's 1x1 is one for all layers.
    """

    def __init__(
        self, channels: int, filter_channels: int, n_heads: int, n_layers: int, gin_channels: int, dropout: float = 0.0
    ) -> None:
        super().__init__(channels, filter_channels, n_heads, n_layers, KERNEL_SIZE, dropout)
        self.channels = channels
        self.cond_pre = nn.Conv1d(channels, 2 * channels, 1)
        self.cond_layer = NormedConv1d(gin_channels, 2 * channels * n_layers, 1)

    def forward(self, x: Tensor, mask: Tensor, condition: Tensor | None = None) -> Tensor:
        return super().forward(x, mask, None if condition is None else self.cond_layer(condition))

    def condition(self, x: Tensor, layer: int, condition: Tensor | None) -> Tensor:
        if condition is None:
            return x
        width = 2 * self.channels
        gates = self.cond_pre(x) + condition[:, layer * width : (layer + 1) * width]
        return torch.tanh(gates[:, : self.channels]) * torch.sigmoid(gates[:, self.channels :])


class TransformerFlow(CouplingFlow):
    """`n_couplings` couplings over transformers of `n_layers` layers; with `shared`, over one and the same (`wn`)."""

    def __init__(
        self,
        channels: int,
        hidden: int,
        filter_channels: int,
        n_heads: int,
        n_layers: int,
        n_couplings: int,
        gin_channels: int,
        *,
        dropout: float = 0.0,
        shared: bool = False,
    ) -> None:
        super().__init__()

        def transformer() -> FlowTransformer:
            return FlowTransformer(hidden, filter_channels, n_heads, n_layers, gin_channels, dropout)

        self.flows = nn.ModuleList()
        if shared:
            self.wn = transformer()
            encoders: list[nn.Module] = [self.wn] * n_couplings
        else:
            encoders = [transformer() for _ in range(n_couplings)]
        self.add_couplings(channels, hidden, encoders)
