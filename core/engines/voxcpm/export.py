"""Trained models as folders in the package's own layout: whole ones, LoRAs, and a LoRA merged into its model."""

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from core import atomic
from core.engines.voxcpm import adapters
from core.engines.voxcpm.config_yaml import LoraSettings, read_yaml
from core.engines.voxcpm.loading import Network, file_dtype, load_network, read_config, weights_file
from core.engines.voxcpm.models import find_model
from core.errors import BadInput, ModelFileError
from core.models.safe_load import load_tensors
from core.settings import Settings
from core.speech.prompt import file_sha256
from core.training.generations import Generation, save_tensors, sha256_of
from core.training.publish import publish

MODEL, CARD, CONFIG = "model.safetensors", "card.json", "config.json"
YAML = "finetune.yaml"
"""A run as the package's own script takes it, in the run's folder."""
STEMS = {"full": "model", "lora": "lora"}
"""By preset, the file of what is learnt in a checkpoint."""
_BESIDE = (
    *("audiovae.safetensors", "audiovae.pth"),
    *("tokenizer.json", "tokenizer_config.json", "tokenizer.model", "special_tokens_map.json", "added_tokens.json"),
)
"""Files of a model that training does not change."""


def write_full(
    build: Path, base: Path, tensors: Mapping[str, Tensor], dtype: torch.dtype, card: Mapping[str, Any], *, link: bool
) -> None:
    """Fill a folder with a whole model, which the bare package loads.

    Args:
        build: the empty folder.
        base: the model that training started from: config, VAE and tokenizer are taken from there.
        tensors: all weights but the VAE's.
        dtype: in which they are written.
        card: what a person should know; the weights' sha256 is added.
        link: share the files beside the weights with `base` where the disk can (hard links), instead of copying.

    Raises:
        NoSpace: the disk is full.
    """
    saved = {name: t.to(dtype) if t.is_floating_point() else t for name, t in tensors.items()}
    save_tensors(build / MODEL, saved, {"format": "pt"})
    shutil.copyfile(base / CONFIG, build / CONFIG)
    for name in _BESIDE:
        if (base / name).is_file():
            _linked(base / name, build / name) if link else shutil.copyfile(base / name, build / name)
    _write_card(build, {**card, "model_sha256": sha256_of(build / MODEL)})


def write_lora(
    build: Path, base: str, tensors: Mapping[str, Tensor], settings: LoraSettings, card: Mapping[str, Any]
) -> None:
    """Fill a folder with a LoRA, which the bare package loads. `base`: the model's folder or public name.

    Raises NoSpace.
    """
    save_tensors(build / adapters.WEIGHTS, tensors, {"format": "pt"})
    content = {"base_model": base, "lora_config": settings.model_dump()}
    (build / adapters.CONFIG).write_text(json.dumps(content, ensure_ascii=False, indent=1), encoding="utf-8")
    _write_card(build, {**card, "model_sha256": sha256_of(build / adapters.WEIGHTS)})


def _write_card(build: Path, card: Mapping[str, Any]) -> None:
    (build / CARD).write_text(json.dumps(dict(card), ensure_ascii=False, indent=1), encoding="utf-8")


def _linked(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # another disk, or one without links
        shutil.copyfile(source, target)


def merged_tensors(net: Network, lora: Path) -> dict[str, Tensor]:
    """All weights but the VAE's of a model with a LoRA added for good: W + alpha / r B A, computed in float32.

    Raises ModelFileError: the LoRA is not of this model.
    """
    adapter = adapters.read_adapter(net, lora)
    exact = load_tensors(lora / adapters.WEIGHTS)  # the adapter's are in the model's precision
    tensors = {name: t for name, t in net.model.state_dict().items() if not name.startswith("audio_vae.")}
    for name in adapter.pairs:
        weight = tensors[f"{name}.weight"]
        update = exact[f"{name}.lora_B"].float() @ exact[f"{name}.lora_A"].float()
        tensors[f"{name}.weight"] = (weight.float() + adapter.scale * update.to(weight.device)).to(weight.dtype)
    return tensors


def merge_lora(base: Path, lora: Path, out: Path) -> Path:
    """A new folder `out` with a whole model that speaks as `base` does with `lora`. Needs memory for two models.

    Raises:
        BadInput: `out` is there already.
        ModelFileError: one of them is damaged, or they do not belong together.
        NoSpace: the disk is full; nothing is left.
    """
    if out.exists():
        raise BadInput(f"{out} is there already.", "Choose another folder.", where="out")
    card = _read_card(lora)
    net = load_network(base)
    tensors = merged_tensors(net, lora)
    known = adapters.trained_from(lora)
    if known and not file_sha256(weights_file(base)).startswith(known):
        raise ModelFileError(
            f"The LoRA {lora.name} was trained from another model than {base.name}.",
            f"Merge it into {card.get('base', 'that one')}.",
            where=str(lora),
        )
    with atomic.folder(out) as build:
        write_full(build, base, tensors, net.dtype, {**card, "preset": "merged", "lora": lora.name}, link=False)
    return out


def merge_trained(settings: Settings, name: str, out: Path) -> Path:
    """`merge_lora` of a LoRA that was trained here, by its name or folder, into the model that its card names.

    Raises NotFound, BadInput (it is no LoRA), and as `merge_lora` does.
    """
    lora = find_model(settings, name)
    if not adapters.is_lora(lora):
        raise BadInput(f"{name} is a whole model already.", "Name a LoRA.", where="model")
    return merge_lora(adapters.base_of(lora), lora, out)


def export_checkpoint(generation: Generation, config_file: Path, folder: Path) -> list[Path]:
    """Write a checkpoint of a run as the package takes it, to speak or to train on: a whole model, or a LoRA.

    `config_file`: config.json of the run, beside which its YAML names the base model and the LoRA. Raises
    ModelFileError (the base model is gone), BadInput (the YAML was changed to what cannot be), NoSpace.
    """
    script = read_yaml(config_file.parent / YAML)
    base = Path(script.pretrained_path)
    _, config = read_config(base)
    card = {"engine": "voxcpm", "run": config_file.parent.name, "step": generation.step, "base": str(base)}

    def write(build: Path) -> None:
        if script.lora is None:
            write_full(build, base, generation.tensors[STEMS["full"]], file_dtype(config), card, link=False)
        else:
            write_lora(build, str(base), generation.tensors[STEMS["lora"]], script.lora, card)

    return sorted(publish(folder, write).iterdir())


def _read_card(folder: Path) -> dict[str, Any]:
    try:
        card = json.loads((folder / CARD).read_text("utf-8"))
    except (OSError, ValueError):
        return {"engine": "voxcpm"}
    return card if isinstance(card, dict) else {"engine": "voxcpm"}
