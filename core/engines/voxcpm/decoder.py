"""Latent patches to sound, piece by piece, exactly as the VAE's decoder does it at once.

The decoder is causal: each convolution needs only some of its past input. That past is held here, one object a stream,
and the model is only read; the package keeps it in the model itself, where two streams spoil each other.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.errors import ModelFileError


class StreamingDecoder:
    """The decoder's state for one stream.

    `vae` is the package's AudioVAE with weight norm folded. `noise` is drawn from for models with noise blocks.
    """

    def __init__(self, vae: Any, noise: torch.Generator | None = None) -> None:
        self._decoder = vae.decoder
        self._noise = noise
        self._past: dict[int, Tensor] = {}
        self._condition: Tensor | None = None
        if getattr(vae.decoder, "sr_bin_boundaries", None) is not None:
            boundaries = vae.decoder.sr_bin_boundaries
            rate = torch.tensor([vae.out_sample_rate], device=boundaries.device, dtype=torch.int32)
            self._condition = vae.decoder.get_sr_idx(rate)

    @property
    def memory_bytes(self) -> int:
        """What the state holds."""
        return sum(past.numel() * past.element_size() for past in self._past.values())

    def __call__(self, latents: Tensor) -> Tensor:
        """The sound of the next latents: [1, D, n] float32 -> [n * samples per latent]."""
        x = latents
        if self._condition is None:
            return self._run(self._decoder.model, x)[0, 0]
        for layer, condition in zip(self._decoder.model, self._decoder.sr_cond_model, strict=True):
            if condition is not None:
                x = self._conditioned(condition, x)
            x = self._run(layer, x)
        return x[0, 0]

    def _run(self, module: nn.Module, x: Tensor) -> Tensor:
        """One module [1, C, n] -> [1, C', n'], by the name of its class in the package."""
        kind = type(module).__name__
        if kind in ("Snake", "Tanh", "Identity"):
            return module(x)
        if kind == "CausalConv1d":
            return self._convolve(module, x)
        if kind == "CausalTransposeConv1d":
            return self._upsample(module, x)
        if kind == "CausalResidualUnit":
            return x + self._run(module.block, x)  # type: ignore[arg-type]
        if kind in ("CausalDecoderBlock", "Sequential"):
            for inner in module.block if kind == "CausalDecoderBlock" else module:  # type: ignore[union-attr, operator]
                x = self._run(inner, x)
            return x
        if kind == "NoiseBlock":
            noise = torch.randn((1, 1, x.shape[-1]), generator=self._noise, dtype=x.dtype).to(x.device)
            return x + noise * self._run(module.linear, x)  # type: ignore[arg-type]
        raise ModelFileError(
            f"The decoder has a part {kind!r} that is not known here.",
            "The installed package voxcpm is newer than this studio: install voxcpm 2.0.3.",
            where="voxcpm",
        )

    def _convolve(self, conv: Any, x: Tensor) -> Tensor:
        """A causal convolution of stride 1: its past is dilation * (kernel - 1) samples."""
        reach = conv.dilation[0] * (conv.kernel_size[0] - 1)
        if reach:
            past = self._past.get(id(conv))
            x = F.pad(x, (reach, 0)) if past is None else torch.cat([past, x], dim=-1)
            self._past[id(conv)] = x[..., -reach:]
        return F.conv1d(x, conv.weight, conv.bias, dilation=conv.dilation, groups=conv.groups)

    def _upsample(self, conv: Any, x: Tensor) -> Tensor:
        """A causal transposed convolution with a kernel of two strides: its past is one sample."""
        stride = conv.stride[0]
        past = self._past.get(id(conv))
        joined = F.pad(x, (1, 0)) if past is None else torch.cat([past, x], dim=-1)
        self._past[id(conv)] = x[..., -1:]
        y = F.conv_transpose1d(joined, conv.weight, conv.bias, stride=conv.stride, groups=conv.groups)
        return y[..., stride:-stride]

    def _conditioned(self, layer: Any, x: Tensor) -> Tensor:
        """A layer that tells the decoder which rate is wanted."""
        index = self._condition
        if layer.cond_type.startswith("scale_bias"):
            x = x * layer.scale_embed(index).unsqueeze(-1) + layer.bias_embed(index).unsqueeze(-1)
        elif layer.cond_type == "add":
            x = x + layer.cond_embed(index).unsqueeze(-1)
        else:
            x = torch.cat([x, layer.cond_embed(index).unsqueeze(-1).expand(-1, -1, x.shape[-1])], dim=1)
        return self._run(layer.out_layer, x)
