"""The voice model that a part is made for: where it lies, and what its units and pitch come from. Light: no torch."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.engines.sovits.config import SovitsConfig, load_config
from core.errors import NotFound
from core.paths import inside
from core.settings import Settings

DEFAULT_PITCH = "fcpe"


@dataclass(frozen=True)
class Target:
    """A voice model's folder, with what its files say."""

    folder: Path
    config: SovitsConfig
    card: dict[str, Any]

    @property
    def encoder(self) -> str:
        """Content encoder of the model."""
        return str(self.card.get("encoder") or self.config.model.speech_encoder)

    @property
    def pitch(self) -> str:
        """Pitch predictor that it was trained with; the studio's usual one where it does not say."""
        return str(self.card.get("pitch") or DEFAULT_PITCH)

    @property
    def speaker(self) -> tuple[str, int]:
        """Name and row of the model's first speaker."""
        name, row = min(self.config.spk.items(), key=lambda item: item[1])
        return name, row


def find_target(settings: Settings, voice: str, model: str = "") -> Target:
    """The model of a voice by its name, or the newest. Raises NotFound, BadInput (a name that leads elsewhere)."""
    from core.dataset.voices import VoiceStore

    models = VoiceStore(settings.voices_dir).get(voice).models
    if model:
        folder = inside(models, models / model)
        if not (folder / "card.json").is_file() or folder == models.resolve():
            raise NotFound(f"There is no model '{model}' of '{voice}'.", "Choose one of the list.", where=voice)
        return _read(folder)
    found = [card.parent for card in models.glob("*/card.json") if card.parent.suffix not in (".new", ".old")]
    targets = [_read(folder) for folder in found if (folder / "model.safetensors").is_file()]
    targets = [one for one in targets if one.card.get("engine", "sovits") == "sovits"]
    if not targets:
        raise NotFound(
            f"The voice '{voice}' has no model that this could be for.",
            "Train a voice model first, or import one on the page Models.",
            where=voice,
        )
    return max(targets, key=lambda one: (one.folder / "card.json").stat().st_mtime)


def _read(folder: Path) -> Target:
    card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    config = load_config(folder / "config.json") if (folder / "config.json").is_file() else None
    if config is None:
        raise NotFound(f"The model '{folder.name}' has no config.json.", "Import or train it again.", where=str(folder))
    return Target(folder, config, card if isinstance(card, dict) else {})
