"""A released model folder, read strictly: settings, weights, and what hears a clip."""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from torch import Tensor

from core.engines.cosyvoice2.flow import Flow
from core.engines.cosyvoice2.hearing import TEXT_FOLDER, Ears, missing
from core.engines.cosyvoice2.hift import Hift
from core.engines.cosyvoice2.language_model import UNUSED, LanguageModel
from core.engines.cosyvoice2.prepared import PreparedPrompts
from core.engines.cosyvoice2.released import ReleasedConfig, read_released
from core.engines.cosyvoice2.speaker import Speaker, read_presets
from core.engines.cosyvoice2.weights import folded
from core.errors import ModelFileError, Unavailable
from core.models.safe_load import load_tensors, strict_load


@dataclass
class Model:
    """A loaded model. Nothing in it belongs to a request; the prompts that it has prepared serve any."""

    folder: Path
    config: ReleasedConfig
    language_model: LanguageModel
    flow: Flow
    hift: Hift
    ears: Ears
    presets: dict[str, Speaker]

    @cached_property
    def prepared(self) -> PreparedPrompts:
        """Speakers whose clip the flow has solved."""
        return PreparedPrompts(self.flow)

    @property
    def memory_bytes(self) -> int:
        """What the weights take, and the prepared prompts."""
        modules = (self.language_model, self.flow, self.hift)
        weights = sum(p.numel() * p.element_size() for module in modules for p in module.parameters())
        return weights + self.prepared.memory_bytes

    def text_ids(self, text: str) -> list[int]:
        """Text tokens; marks such as `[laughter]` are one each."""
        return self.ears.text_ids(text)


def load_model(folder: Path, device: str = "cpu") -> Model:
    """Load a released folder. Raises ModelFileError (missing, damaged, does not fit), Unavailable."""
    if not folder.is_dir():
        raise Unavailable(
            f"There is no folder {folder}.", "Choose the folder of a CosyVoice2 model.", where=str(folder)
        )
    config = read_released(folder)
    language_model = LanguageModel(config.language_model, _trunk_config(folder))
    strict_load(language_model, _tensors(folder / "llm.pt"), str(folder / "llm.pt"), may_ignore=UNUSED)
    flow, hift = Flow(config.flow), Hift(config.hift)
    strict_load(flow, _tensors(folder / "flow.pt"), str(folder / "flow.pt"))
    strict_load(hift, folded(_tensors(folder / "hift.pt"), "generator."), str(folder / "hift.pt"))
    for module in (language_model, flow, hift):
        module.eval().requires_grad_(False).to(device)
    presets = folder / "spk2info.pt"
    return Model(
        folder,
        config,
        language_model,
        flow,
        hift,
        Ears(folder, config.version),
        read_presets(presets) if presets.is_file() else {},
    )


def _tensors(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise missing(path)
    return load_tensors(path)


def _trunk_config(folder: Path) -> Any:
    from transformers import Qwen2Config

    path = folder / TEXT_FOLDER / "config.json"
    if not path.is_file():
        raise missing(path)
    try:
        return Qwen2Config(**json.loads(path.read_text("utf-8")))
    except (ValueError, TypeError, AttributeError) as err:
        raise ModelFileError(f"{path.name} is no Qwen2 config.", "Copy the file again.", where=str(path)) from err
