"""LoRA voices: small updates of a model's layers, any number of them beside one loaded model.

The package builds a model for one rank and copies another voice's numbers over it, unchecked. Here the layers ask which
adapter is on; sessions take turns, each with its own, so that two voices can speak from one model at once.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch.nn.functional as F
from pydantic import ValidationError
from torch import Tensor, nn

from core.engines.voxcpm.config_yaml import LoraSettings
from core.engines.voxcpm.loading import Network, weights_file
from core.errors import ModelFileError
from core.models.safe_load import load_tensors
from core.speech.prompt import file_sha256

WEIGHTS, CONFIG = "lora_weights.safetensors", "lora_config.json"
_HINT = "Choose the folder of a LoRA that was trained from this very model."


@dataclass(frozen=True)
class Adapter:
    """A LoRA on the model's device: layer name -> (A [r, in], B [out, r]); the update is scale * B A."""

    folder: Path
    pairs: dict[str, tuple[Tensor, Tensor]]
    scale: float

    @property
    def memory_bytes(self) -> int:
        """What the tensors hold."""
        return sum(t.numel() * t.element_size() for pair in self.pairs.values() for t in pair)


class Adapters:
    """The adapters of one loaded model."""

    def __init__(self) -> None:
        self.current: Adapter | None = None
        self._known: dict[Path, tuple[int, Adapter]] = {}
        self._base_sha256 = ""

    @property
    def memory_bytes(self) -> int:
        """Of all that were loaded."""
        return sum(adapter.memory_bytes for _, adapter in self._known.values())

    def load(self, net: Network, folder: Path) -> Adapter:
        """A LoRA folder of the package's layout, read once. Raises ModelFileError that says what does not fit."""
        key, stamp = folder.resolve(), _stamp(folder / WEIGHTS)
        known = self._known.get(key)
        if known is None or known[0] != stamp:  # one that was trained again takes the place of the old one
            self._of_this_base(net, folder)
            adapter = read_adapter(net, folder)
            for name in adapter.pairs:
                self._prepare(net.model, name)
            known = self._known[key] = stamp, adapter
        return known[1]

    @contextmanager
    def on(self, adapter: Adapter | None) -> Iterator[None]:
        """The model speaks with this adapter inside the block. Hold the model's turn."""
        self.current = adapter
        try:
            yield
        finally:
            self.current = None

    def _of_this_base(self, net: Network, folder: Path) -> None:
        """Raise ModelFileError if a LoRA was trained here from other weights, though their sizes may be the same."""
        known = trained_from(folder)
        if known and not self._base_sha256:
            self._base_sha256 = file_sha256(weights_file(net.folder))
        if known and not self._base_sha256.startswith(known):
            raise ModelFileError(
                f"The LoRA {folder.name} was trained from another model than {net.folder.name}.",
                _HINT,
                where=str(folder),
            )

    def _prepare(self, model: nn.Module, name: str) -> None:
        parent_name, _, last = name.rpartition(".")
        parent = model.get_submodule(parent_name)
        if not isinstance(getattr(parent, last), Adapted):
            setattr(parent, last, Adapted(getattr(parent, last), name, self))


class Adapted(nn.Module):
    """A linear layer that asks which adapter is on. Its tensors keep their names."""

    def __init__(self, linear: nn.Linear, name: str, adapters: Adapters) -> None:
        super().__init__()
        self.weight, self.bias = linear.weight, linear.bias
        self._name, self._adapters = name, adapters

    def forward(self, x: Tensor) -> Tensor:
        """[..., in] -> [..., out]."""
        y = F.linear(x, self.weight, self.bias)
        adapter = self._adapters.current
        pair = adapter.pairs.get(self._name) if adapter is not None else None
        if adapter is None or pair is None:
            return y
        return y + F.linear(F.linear(x, pair[0]), pair[1]) * adapter.scale


def read_adapter(net: Network, folder: Path) -> Adapter:
    """Read and check a LoRA for a model. Raises ModelFileError."""
    settings = read_settings(folder)
    tensors = load_tensors(folder / WEIGHTS)
    shapes = _targets(net.model, settings)
    wanted = {
        f"{name}.{part}": (settings.r, size_in) if part == "lora_A" else (size_out, settings.r)
        for name, (size_out, size_in) in shapes.items()
        for part in ("lora_A", "lora_B")
    }
    missing = sorted(wanted.keys() - tensors.keys())
    extra = sorted(tensors.keys() - wanted.keys())
    wrong = sorted(name for name, shape in wanted.items() if name in tensors and tuple(tensors[name].shape) != shape)
    if missing or extra or wrong:
        parts = [
            f"{len(names)} tensors {what} (such as {names[0]})"
            for names, what in ((missing, "are missing"), (extra, "are unknown"), (wrong, "have another size"))
            if names
        ]
        raise ModelFileError(
            f"The LoRA {folder.name} does not fit {net.folder.name}: {', '.join(parts)}.", _HINT, where=str(folder)
        )
    placed = {name: tensor.to(net.device, net.dtype) for name, tensor in tensors.items()}
    pairs = {name: (placed[f"{name}.lora_A"], placed[f"{name}.lora_B"]) for name in shapes}
    return Adapter(folder, pairs, settings.alpha / settings.r)


def read_settings(folder: Path) -> LoraSettings:
    """lora_config.json of a LoRA folder. Raises ModelFileError."""
    path = folder / CONFIG
    if not path.is_file():
        raise ModelFileError(f"{folder} is not a LoRA: it has no {CONFIG}.", _HINT, where=str(folder))
    try:
        data = json.loads(path.read_text("utf-8"))
        return LoraSettings.model_validate(data["lora_config"])
    except (OSError, ValueError, KeyError, TypeError, ValidationError) as err:
        raise ModelFileError(f"{CONFIG} of {folder.name} is damaged.", "Copy the LoRA again.", where=str(path)) from err


def trained_from(folder: Path) -> str:
    """The first digits of the base model's sha256 that a LoRA's card names; empty for one from elsewhere."""
    try:
        return str(json.loads((folder / "card.json").read_text("utf-8"))["encoder_fingerprint"]).partition("-")[2]
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def is_lora(folder: Path) -> bool:
    """True for the folder of a LoRA; a whole model has a config.json."""
    return (folder / CONFIG).is_file() and not (folder / "config.json").is_file()


def parts(folder: Path) -> tuple[Path, dict[str, str]]:
    """See core.speech.registry.parts."""
    return (base_of(folder), {"lora": str(folder)}) if is_lora(folder) else (folder, {})


def base_of(folder: Path) -> Path:
    """The folder of the model that a LoRA was trained from, by its card (the studio's) or its config.

    Raises ModelFileError: neither names a folder that is there.
    """
    named = []
    for file, key in (("card.json", "base"), (CONFIG, "base_model")):
        try:
            named.append(str(json.loads((folder / file).read_text("utf-8"))[key]))
        except (OSError, ValueError, KeyError, TypeError):
            continue
    for name in named:
        if Path(name).is_dir():
            return Path(name)
    where = f" ({named[0]})" if named else ""
    raise ModelFileError(
        f"The model that the LoRA {folder.name} was trained from{where} is not here.",
        "Choose that model, and give this folder as its LoRA (the option `lora`).",
        where=str(folder),
    )


def _targets(model: Any, settings: LoraSettings) -> dict[str, tuple[int, int]]:
    """The layers that the settings mean and their sizes (out, in)."""
    found: dict[str, tuple[int, int]] = {}

    def look(root_name: str, last_names: list[str]) -> None:
        for name, module in model.get_submodule(root_name).named_modules(prefix=root_name):
            if isinstance(module, nn.Linear | Adapted) and name.rpartition(".")[2] in last_names:
                found[name] = (module.weight.shape[0], module.weight.shape[1])

    if settings.enable_lm:
        look("base_lm", settings.target_modules_lm)
        look("residual_lm", settings.target_modules_lm)
    if settings.enable_dit:
        look("feat_decoder.estimator", settings.target_modules_dit)
    if settings.enable_proj:
        for name in settings.target_proj_modules:
            if hasattr(model, name):
                look(name, [name])
    return found


def _stamp(path: Path) -> int:
    return path.stat().st_mtime_ns if path.is_file() else 0
