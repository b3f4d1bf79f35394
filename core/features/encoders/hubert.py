"""HuBERT and its relatives as models of the transformers package: ContentVec, HuBERT-Soft, Chinese HuBERT, WavLM.

Their weights do not ship. A folder holds `config.json` and `model.safetensors` (or `pytorch_model.bin`) in the layout
of transformers, with the extra layer `final_proj` where an encoder's units come out of it; `core.models.encoder_import`
makes such folders of the original files. Layers, widths and padding: spec/so_vits_svc.md, section 1.4.
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

_WEIGHTS = ("model.safetensors", "pytorch_model.bin")
# Trained only to mask frames, never read at inference; some exports leave it out.
_UNUSED = "masked_spec_embed"
# The same weight norm under torch's old names, as published exports have it, and its new ones.
_RENAMED = {
    "encoder.pos_conv_embed.conv.weight_g": "encoder.pos_conv_embed.conv.parametrizations.weight.original0",
    "encoder.pos_conv_embed.conv.weight_v": "encoder.pos_conv_embed.conv.parametrizations.weight.original1",
}


@dataclass(frozen=True)
class Kind:
    """How an encoder reads its network.

    Attributes:
        what: its name in messages.
        layer: whose output the units are; None: the last.
        projected: the units go through `final_proj`.
        pad: samples of silence put at each end.
        family: of the network, as config.json calls it.
        layers: that the network has; None: any number.
    """

    what: str
    layer: int | None = None
    projected: bool = False
    pad: int = 0
    family: str = "hubert"
    layers: int | None = None


KINDS: dict[str, Kind] = {
    "vec768l12": Kind("ContentVec", layer=12, layers=12),
    "vec256l9": Kind("ContentVec", layer=9, projected=True, layers=12),
    "hubertsoft": Kind("HuBERT-Soft", projected=True, pad=(RECEPTIVE - HOP) // 2),
    "cnhubertlarge": Kind("the Chinese HuBERT"),
    "wavlmbase+": Kind("WavLM", family="wavlm"),
}


class HubertEncoder(ContentEncoder):
    """Units of one layer of a transformer over 16 kHz speech."""

    def __init__(self, folder: Path, name: str, device: str = "cpu") -> None:
        """Load the weights strictly.

        Args:
            folder: holds ``config.json`` and the weights.
            name: a key of ``KINDS``.
            device: ``cpu`` or ``cuda:N``.

        Raises:
            ModelFileError: a file is damaged, or tensors are missing, extra or of another shape.
        """
        self.name = name
        self._kind = KINDS[name]
        self._device = torch.device(device)
        weights = next((folder / file for file in _WEIGHTS if (folder / file).is_file()), folder / _WEIGHTS[0])
        self._model, projection, self._normalises = _load(folder / "config.json", weights, self._kind)
        self._projection = projection.to(self._device) if projection is not None else None
        self.dim = self._model.config.hidden_size if projection is None else projection.out_features
        if self._kind.layer is not None:  # later layers would only be thrown away
            self._model.encoder.layers = self._model.encoder.layers[: self._kind.layer]
        self._model.to(self._device)
        with open(weights, "rb") as source:
            self.fingerprint = hashlib.file_digest(source, "sha256").hexdigest()[:16]

    @torch.inference_mode()
    def encode(self, wav16k: Tensor) -> Tensor:
        """Encode [N] to [(N + 2 * pad - 400) // 320 + 1, C]. Audio over 30 s goes in overlapping windows."""
        wav = wav16k.float()
        if self._normalises and wav.numel():
            wav = F.layer_norm(wav, wav.shape)
        wav = F.pad(wav, (self._kind.pad, self._kind.pad))
        if wav.shape[0] < RECEPTIVE or wav16k.shape[0] == 0:
            return torch.zeros(0, self.dim)
        return in_windows(wav, (wav.shape[0] - RECEPTIVE) // HOP + 1, self._run)

    def _run(self, wav16k: Tensor) -> Tensor:
        hidden = self._model(wav16k.to(self._device, torch.float32)[None]).last_hidden_state[0]
        if self._projection is not None:
            hidden = self._projection(hidden)
        units: Tensor = hidden.float().cpu()
        return units


def _load(config_file: Path, weights: Path, kind: Kind) -> tuple[Any, nn.Linear | None, bool]:
    """The network on the CPU, ready for inference, its final projection if it is used, whether it normalises sound."""
    from huggingface_hub.errors import StrictDataclassError
    from transformers import HubertConfig, HubertModel, WavLMConfig, WavLMModel

    raw = _read_config(config_file, kind)
    normalises = bool(raw.pop("normalize", False))
    network: tuple[Any, Any] = (WavLMConfig, WavLMModel) if kind.family == "wavlm" else (HubertConfig, HubertModel)
    try:
        config = network[0](**raw)
        projection = nn.Linear(config.hidden_size, config.classifier_proj_size)
        model = network[1](config)
    except (StrictDataclassError, ValueError, TypeError) as error:
        raise ModelFileError(
            f"{config_file.name} does not describe {kind.what} (a {kind.family} model): {error}",
            "Use the config.json that came with the weights.",
            where=str(config_file),
        ) from error
    tensors = {_RENAMED.get(name, name): tensor for name, tensor in load_tensors(weights).items()}
    whole = nn.ModuleDict({"model": model, "final_proj": projection})
    prefixed = {name if name.startswith("final_proj.") else f"model.{name}": t for name, t in tensors.items()}
    spare = {f"model.{_UNUSED}"}
    if kind.layers is None and not kind.projected:  # what is not used need not be there
        whole.pop("final_proj")
        spare |= {"final_proj.weight", "final_proj.bias"}
    strict_load(whole, prefixed, str(weights), may_miss=spare, may_ignore=spare)
    used = projection.eval().requires_grad_(False) if kind.projected else None
    return model.eval().requires_grad_(False), used, normalises


def _read_config(path: Path, kind: Kind) -> dict[str, Any]:
    """Read the network's shape and check that it is the one that the name promises."""
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelFileError(
            f"{path.name} of {kind.what} can not be read: {error}.", "Copy the file again.", where=str(path)
        ) from error
    wanted: dict[str, Any] = {"model_type": kind.family}
    if kind.layers is not None:
        wanted |= {"num_hidden_layers": kind.layers, "do_stable_layer_norm": False}
    wrong = [
        f"{key} is {config.get(key)!r}, not {value!r}"
        for key, value in wanted.items()
        if config.get(key, value) != value
    ]
    if wrong:
        raise ModelFileError(
            f"{path.name} does not describe {kind.what}: {'; '.join(wrong)}.",
            "Use the config.json that came with the weights.",
            where=str(path),
        )
    return {key: value for key, value in config.items() if key not in ("architectures", "transformers_version")}
