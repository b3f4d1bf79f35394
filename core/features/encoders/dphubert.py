"""DPHuBERT (Peng et al., 2023): a HuBERT whose channels, heads and hidden units were pruned, each layer otherwise.

A folder holds `config.json` (the file's own description of its sizes) and `model.safetensors` under the file's own
names, the positional convolution's weight norm folded; `core.models.encoder_import` makes it of `DPHuBERT-sp0.75.pth`.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.errors import ModelFileError
from core.features.encoders.base import ContentEncoder
from core.features.encoders.windows import HOP, RECEPTIVE, in_windows
from core.models.safe_load import load_tensors, strict_load


@dataclass(frozen=True)
class Sizes:
    """What the network is built from; lists have one entry a layer."""

    convs: list[tuple[int, int, int]]
    """(channels, kernel, stride)."""
    conv_bias: bool
    group_norm: bool
    """One norm behind the first convolution, over time; else one behind each, over channels."""
    width: int
    pos_kernel: int
    pos_groups: int
    heads: list[int]
    """Attention heads; 0: the layer has none."""
    head_dim: int
    hidden: list[int]
    """Channels between a layer's two linear maps; 0: it has none."""
    norm_first: bool
    normalises: bool


def parse_sizes(config: dict[str, Any]) -> Sizes:
    """Sizes from the settings that the file carries. Raises KeyError, TypeError, ValueError where they make none."""
    n_layers = int(config["encoder_num_layers"])
    attends, feeds = config["encoder_use_attention"], config["encoder_use_feed_forward"]
    heads, hidden = config["encoder_num_heads"], config["encoder_ff_interm_features"]
    if not len(attends) == len(feeds) == len(heads) == len(hidden) == n_layers:
        raise ValueError("its lists are not one entry a layer")
    return Sizes(
        convs=[(int(c), int(k), int(s)) for c, k, s in config["extractor_conv_layer_config"]],
        conv_bias=bool(config["extractor_conv_bias"]),
        group_norm=config["extractor_mode"] == "group_norm",
        width=int(config["encoder_embed_dim"]),
        pos_kernel=int(config["encoder_pos_conv_kernel"]),
        pos_groups=int(config["encoder_pos_conv_groups"]),
        heads=[int(n) if on else 0 for n, on in zip(heads, attends, strict=True)],
        head_dim=int(config["encoder_head_dim"]),
        hidden=[int(n) if on else 0 for n, on in zip(hidden, feeds, strict=True)],
        norm_first=bool(config["encoder_layer_norm_first"]),
        normalises=bool(config.get("normalize_waveform", False)),
    )


class _Conv(nn.Module):
    def __init__(self, before: int, channels: int, kernel: int, stride: int, bias: bool, norm: str) -> None:
        super().__init__()
        self.conv = nn.Conv1d(before, channels, kernel, stride, bias=bias)
        if norm == "group":
            self.layer_norm: nn.Module = nn.GroupNorm(channels, channels)
        elif norm == "layer":
            self.layer_norm = nn.LayerNorm(channels)
        self._norm = norm

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        if self._norm == "group":
            x = self.layer_norm(x)
        elif self._norm == "layer":
            x = self.layer_norm(x.transpose(1, 2)).transpose(1, 2)
        return F.gelu(x)


class _Extractor(nn.Module):
    """[B, N] samples to [B, T, channels]; the mask over the last channels is part of the file."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        norms = ["group" if i == 0 else "" for i in range(len(sizes.convs))]
        norms = norms if sizes.group_norm else ["layer"] * len(sizes.convs)
        layers, before = [], 1
        for (channels, kernel, stride), norm in zip(sizes.convs, norms, strict=True):
            layers.append(_Conv(before, channels, kernel, stride, sizes.conv_bias, norm))
            before = channels
        self.conv_layers = nn.ModuleList(layers)
        self.dummy_weight = nn.Parameter(torch.ones(before))

    def forward(self, wav: Tensor) -> Tensor:
        x = wav.unsqueeze(1)
        for layer in self.conv_layers:
            x = layer(x)
        return x.transpose(1, 2) * self.dummy_weight


class _Projection(nn.Module):
    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.layer_norm = nn.LayerNorm(channels)
        self.projection = nn.Linear(channels, width)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.projection(self.layer_norm(x))
        return out


class _Attention(nn.Module):
    def __init__(self, width: int, heads: int, head_dim: int) -> None:
        super().__init__()
        self._heads = heads
        inner = heads * head_dim
        self.k_proj, self.v_proj, self.q_proj = (nn.Linear(width, inner) for _ in range(3))
        self.out_proj = nn.Linear(inner, width)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (
            part(x).unflatten(2, (self._heads, -1)).transpose(1, 2) for part in (self.q_proj, self.k_proj, self.v_proj)
        )
        out: Tensor = self.out_proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))
        return out


class _FeedForward(nn.Module):
    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.intermediate_dense = nn.Linear(width, hidden)
        self.output_dense = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.output_dense(F.gelu(self.intermediate_dense(x)))
        return out


class _Layer(nn.Module):
    """A transformer layer; a pruned part is left out, its norm is not."""

    def __init__(self, sizes: Sizes, index: int) -> None:
        super().__init__()
        heads, hidden = sizes.heads[index], sizes.hidden[index]
        self.attention = _Attention(sizes.width, heads, sizes.head_dim) if heads else None
        self.layer_norm = nn.LayerNorm(sizes.width)
        self.feed_forward = _FeedForward(sizes.width, hidden) if hidden else None
        self.final_layer_norm = nn.LayerNorm(sizes.width)
        self._norm_first = sizes.norm_first

    def forward(self, x: Tensor) -> Tensor:
        if self._norm_first:
            if self.attention is not None:
                x = x + self.attention(self.layer_norm(x))
            return x if self.feed_forward is None else x + self.feed_forward(self.final_layer_norm(x))
        x = self.layer_norm(x if self.attention is None else x + self.attention(x))
        out: Tensor = self.final_layer_norm(x if self.feed_forward is None else x + self.feed_forward(x))
        return out


class _Position(nn.Module):
    """A convolution over time that tells frames where they stand; an even kernel's last frame is dropped."""

    def __init__(self, width: int, kernel: int, groups: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(width, width, kernel, padding=kernel // 2, groups=groups)
        self._drop = 1 - kernel % 2

    def forward(self, x: Tensor) -> Tensor:
        out = self.conv(x.transpose(1, 2))
        return F.gelu(out[..., : out.shape[-1] - self._drop]).transpose(1, 2)


class _Transformer(nn.Module):
    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.pos_conv_embed = _Position(sizes.width, sizes.pos_kernel, sizes.pos_groups)
        self.layer_norm = nn.LayerNorm(sizes.width)
        self.layers = nn.ModuleList(_Layer(sizes, i) for i in range(len(sizes.heads)))
        self._norm_first = sizes.norm_first

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.pos_conv_embed(x)
        if not self._norm_first:
            x = self.layer_norm(x)
        for layer in self.layers:
            x = layer(x)
        return self.layer_norm(x) if self._norm_first else x


class _Encoder(nn.Module):
    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.feature_projection = _Projection(sizes.convs[-1][0], sizes.width)
        self.transformer = _Transformer(sizes)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.transformer(self.feature_projection(x))
        return out


class PrunedHubert(nn.Module):
    """[B, N] at 16 kHz to [B, (N - 400) // 320 + 1, width]."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.feature_extractor = _Extractor(sizes)
        self.encoder = _Encoder(sizes)

    def forward(self, wav: Tensor) -> Tensor:
        out: Tensor = self.encoder(self.feature_extractor(wav))
        return out


class DpHubert(ContentEncoder):
    """Output of the last layer."""

    name = "dphubert"

    def __init__(self, folder: Path, device: str = "cpu") -> None:
        """Load the weights strictly.

        Raises:
            ModelFileError: a file is damaged, or tensors are missing, extra or of another shape.
        """
        config_file, weights = folder / "config.json", folder / "model.safetensors"
        try:
            sizes = parse_sizes(json.loads(config_file.read_text(encoding="utf-8")))
            network = PrunedHubert(sizes)
        except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
            raise ModelFileError(
                f"{config_file} does not describe a DPHuBERT: {error}.",
                "Import the original file again.",
                where=str(config_file),
            ) from error
        strict_load(network, load_tensors(weights), str(weights))
        self._device = torch.device(device)
        self._model = network.eval().requires_grad_(False).to(self._device)
        self._normalises = sizes.normalises
        self.dim = sizes.width
        with open(weights, "rb") as source:
            self.fingerprint = hashlib.file_digest(source, "sha256").hexdigest()[:16]

    @torch.inference_mode()
    def encode(self, wav16k: Tensor) -> Tensor:
        """Encode [N] to [(N - 400) // 320 + 1, C]. Audio over 30 s goes in overlapping windows."""
        if wav16k.shape[0] < RECEPTIVE:
            return torch.zeros(0, self.dim)
        wav = wav16k.to(self._device, torch.float32)
        if self._normalises:
            wav = F.layer_norm(wav, wav.shape)
        return in_windows(wav, (wav.shape[0] - RECEPTIVE) // HOP + 1, lambda part: self._model(part[None])[0].cpu())
