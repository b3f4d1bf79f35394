"""A trained voice as a folder to convert with, or to take away: model.safetensors, config.json, card.json."""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from core import atomic
from core.engines.sovits.checkpoint import load_generator
from core.engines.sovits.config import SovitsConfig, load_config
from core.errors import BadInput, ModelFileError, NotFound
from core.nn.nsf import SineSource
from core.training import optimiser_state
from core.training.generations import Generation, save_tensors, sha256_of
from core.training.options import TrainOptions
from core.training.publish import publish

MODEL_FILE, CONFIG_FILE, CARD_FILE = "model.safetensors", "config.json", "card.json"


@dataclass(frozen=True)
class VoiceModel:
    """A voice ready to convert with."""

    folder: Path
    generator: nn.Module
    """In eval mode on its device, folded for inference."""
    config: SovitsConfig
    card: dict[str, Any]

    @property
    def as_latest(self) -> bool:
        """Whether it is used as so-vits-svc 4.1-Latest uses it, not as 4.1-Stable (spec, section 7)."""
        return self.card.get("behaviour") == "4.1-latest"


def export_model(
    folder: Path,
    generator: nn.Module,
    config_file: Path,
    card: dict[str, Any],
    check: Callable[[Path], None] | None = None,
) -> Path:
    """Write the voice model folder; one that is there is replaced only when the new one is whole and passes `check`.

    Args:
        folder: where the model belongs.
        generator: the weights.
        config_file: copied beside them.
        card: what a person should know; the weights' sha256 is added.
        check: called with the new folder (under another name still); raises if it is not fit for use.

    Raises:
        NoSpace: the disk is full; what was there stays.
        StudioError: what `check` raised; what was there stays.
    """

    def write(build: Path) -> None:
        save_tensors(build / MODEL_FILE, generator.state_dict(), {"format": "pt"})
        shutil.copyfile(config_file, build / CONFIG_FILE)
        full = {**card, "model_sha256": sha256_of(build / MODEL_FILE)}
        (build / CARD_FILE).write_text(json.dumps(full, ensure_ascii=False, indent=1), encoding="utf-8")

    return publish(folder, write, check)


def read_card(folder: Path) -> dict[str, Any]:
    """card.json of a voice model.

    Raises:
        NotFound: there is no model in the folder.
        ModelFileError: card.json is not readable.
    """
    try:
        card = json.loads((folder / CARD_FILE).read_text(encoding="utf-8"))
    except FileNotFoundError as err:
        raise NotFound(f"There is no voice model in {folder}.", "Train the voice first.", where=str(folder)) from err
    except ValueError as err:
        raise ModelFileError(f"{folder / CARD_FILE} cannot be read: {err}", "Export the run again.") from err
    if not isinstance(card, dict):
        raise ModelFileError(f"{folder / CARD_FILE} does not hold an object", "Export the run again.")
    return card


def load_model(folder: Path, device: str = "cpu") -> VoiceModel:
    """Load a voice model strictly and make it ready for inference.

    Raises:
        NotFound: there is no model.
        ModelFileError: a tensor is missing, extra or has another shape; the file is damaged.
    """
    card = read_card(folder)
    config = load_config(folder / CONFIG_FILE)
    generator = load_generator(folder / MODEL_FILE, config, for_inference=True, device=device)
    model = VoiceModel(folder, generator, config, card)
    if model.as_latest:
        for module in generator.modules():
            if isinstance(module, SineSource):
                module.bare = True
    return model


def voice_models(models_dir: Path) -> list[Path]:
    """Model folders of a voice that conversion takes, newest first; those of speech engines say another engine."""
    if not models_dir.is_dir():
        return []
    cards = [p for p in models_dir.iterdir() if (p / CARD_FILE).is_file() and p.suffix not in (".new", ".old")]
    found = [p for p in cards if read_card(p).get("engine", "sovits") == "sovits"]
    return sorted(found, key=lambda p: (p / CARD_FILE).stat().st_mtime, reverse=True)


def export_upstream(generation: Generation, config_file: Path, folder: Path) -> list[Path]:
    """Write a checkpoint as so-vits-svc 4.1 takes it, to train on or to convert with: G_STEP.pth, D_STEP.pth,
    config.json. Weights, optimiser state and learning rate go along; upstream's "iteration" counts epochs.

    Raises:
        BadInput: the model is not of that family.
        ModelFileError: the checkpoint is of another configuration.
        NoSpace: the disk is full; files that were there stay.
    """
    from core.engines.sovits.checkpoint import write_upstream
    from core.engines.sovits.recipes import create_recipe
    from core.models.safe_load import strict_load

    config = load_config(config_file)
    if config.model.vocoder_name == "lite":
        raise BadInput("so-vits-svc does not know models of the preset lite.", "Export a run of standard or tiny.")
    recipe = create_recipe(config, TrainOptions(voice="-"))
    assert recipe.discriminator is not None
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    modules = {"generator": ("G", recipe.generator), "discriminator": ("D", recipe.discriminator)}
    for name, (letter, module) in modules.items():
        strict_load(module, generation.tensors[name], f"{generation.path.name}/{name}.safetensors")
        optimiser = torch.optim.AdamW(module.parameters())
        groups = generation.state["optimisers"][name]
        optimiser_state.unflatten(optimiser, name, generation.tensors["optimisers"], groups)
        path = folder / f"{letter}_{generation.step}.pth"
        write_upstream(
            path,
            module,
            iteration=int(generation.state["epoch"]) + 1,
            learning_rate=float(groups[0]["lr"]),
            optimizer=optimiser.state_dict(),
        )
        written.append(path)
    atomic.write_bytes(folder / CONFIG_FILE, config_file.read_bytes())
    return [*written, folder / CONFIG_FILE]
