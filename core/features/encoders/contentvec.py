"""ContentVec, the encoder of so-vits-svc 4.1, as a HuBERT model of the transformers package.

The weights (MIT, about 378 MB) do not ship: the folder holds ``config.json`` and ``model.safetensors``
(or ``pytorch_model.bin``) in the transformers layout with the extra layer ``final_proj``.
"""

import hashlib
import json
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

from core.errors import ModelFileError
from core.features.encoders.base import ContentEncoder
from core.models.safe_load import load_tensors, strict_load

_WEIGHTS = ("model.safetensors", "pytorch_model.bin")
_LAYER = {"vec768l12": 12, "vec256l9": 9}
_ATTENTION_SPAN_S = 30.0  # attention costs grow with the square of the length; longer audio goes in windows
_CONTEXT_S = 2.0
_HOP = 320
_RECEPTIVE = 400  # samples that one unit looks at before attention
# Trained only to mask frames, never read at inference; some exports leave it out.
_UNUSED = "masked_spec_embed"
# The same weight norm under torch's old names, as published exports have it, and its new ones.
_RENAMED = {
    "encoder.pos_conv_embed.conv.weight_g": "encoder.pos_conv_embed.conv.parametrizations.weight.original0",
    "encoder.pos_conv_embed.conv.weight_v": "encoder.pos_conv_embed.conv.parametrizations.weight.original1",
}


class ContentVec(ContentEncoder):
    """Layer 12 as it is (``vec768l12``), or layer 9 through the final projection (``vec256l9``)."""

    def __init__(self, folder: Path, name: Literal["vec768l12", "vec256l9"], device: str = "cpu") -> None:
        """Load the weights strictly.

        Args:
            folder: holds ``config.json`` and the weights.
            name: which units to give.
            device: ``cpu`` or ``cuda:N``.

        Raises:
            ModelFileError: a file is damaged, or tensors are missing, extra or of another shape.
        """
        self.name = name
        self._device = torch.device(device)
        weights = next((folder / file for file in _WEIGHTS if (folder / file).is_file()), folder / _WEIGHTS[0])
        self._model, self._projection = _load(folder / "config.json", weights)
        self.dim = self._projection.in_features if name == "vec768l12" else self._projection.out_features
        # Later layers would only be thrown away.
        self._model.encoder.layers = self._model.encoder.layers[: _LAYER[name]]
        self._model.to(self._device)
        self._projection.to(self._device)
        with open(weights, "rb") as source:
            digest = hashlib.file_digest(source, "sha256").hexdigest()
        self.fingerprint = digest[:16]

    @torch.inference_mode()
    def encode(self, wav16k: torch.Tensor) -> torch.Tensor:
        """Encode [N] to [(N - 400) // 320 + 1, C]; see the base class. Audio over 30 s goes in overlapping windows."""
        if wav16k.shape[0] < _RECEPTIVE:
            return torch.zeros(0, self.dim)
        n_units = (wav16k.shape[0] - _RECEPTIVE) // _HOP + 1
        span, context = (round(seconds * self.rate_hz) for seconds in (_ATTENTION_SPAN_S, _CONTEXT_S))
        pieces = []
        for start in range(0, n_units, span):
            first, last = max(0, start - context), min(n_units, start + span + context)
            # The last samples make no unit of their own, but the first layer's norm hears them.
            stop = wav16k.shape[0] if last == n_units else (last - 1) * _HOP + _RECEPTIVE
            units = self._run(wav16k[first * _HOP : stop])
            pieces.append(units[start - first : min(start + span, n_units) - first])
        return torch.cat(pieces)

    def _run(self, wav16k: torch.Tensor) -> torch.Tensor:
        hidden = self._model(wav16k.to(self._device, torch.float32)[None]).last_hidden_state[0]
        if self.name == "vec256l9":
            hidden = self._projection(hidden)
        return hidden.float().cpu()


def _load(config_file: Path, weights: Path) -> tuple[Any, nn.Linear]:
    """Return the HuBERT model and its final projection, on the CPU, ready for inference."""
    from huggingface_hub.errors import StrictDataclassError
    from transformers import HubertConfig, HubertModel

    try:
        config = HubertConfig(**_read_config(config_file))
        projection = nn.Linear(config.hidden_size, config.classifier_proj_size)
        model = HubertModel(config)
    except (StrictDataclassError, ValueError, TypeError) as error:
        raise ModelFileError(
            f"{config_file.name} does not describe a HuBERT model: {error}",
            "Use the config.json that came with the weights.",
            where=str(config_file),
        ) from error
    tensors = {_RENAMED.get(name, name): tensor for name, tensor in load_tensors(weights).items()}
    whole = nn.ModuleDict({"model": model, "final_proj": projection})
    prefixed = {name if name.startswith("final_proj.") else f"model.{name}": t for name, t in tensors.items()}
    unused = {f"model.{_UNUSED}"}
    strict_load(whole, prefixed, str(weights), may_miss=unused, may_ignore=unused)
    return model.eval().requires_grad_(False), projection.eval().requires_grad_(False)


def _read_config(path: Path) -> dict[str, Any]:
    """Read the model's shape and check that it is the HuBERT that the names promise."""
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelFileError(
            f"ContentVec's {path.name} can not be read: {error}.", "Copy the file again.", where=str(path)
        ) from error
    wrong = [
        f"{key} is {config.get(key)!r}, not {value!r}"
        for key, value in {"model_type": "hubert", "num_hidden_layers": 12, "do_stable_layer_norm": False}.items()
        if config.get(key, value) != value
    ]
    if wrong:
        raise ModelFileError(
            f"{path.name} does not describe ContentVec: {'; '.join(wrong)}.",
            "Use the config.json that came with the weights.",
            where=str(path),
        )
    return {key: value for key, value in config.items() if key not in ("architectures", "transformers_version")}
