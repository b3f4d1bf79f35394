"""`character.json` in a voice's folder: what makes a voice a character. A voice without one has the defaults."""

import json
import time
import uuid
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from core import atomic
from core.dataset.voices import FOLDERS
from core.service.models import CharacterConfig

if TYPE_CHECKING:
    from core.dataset.voices import Voice

FILE = "character.json"


@dataclass(frozen=True)
class Character:
    """Stored beside the recordings, so that it moves with them. Times are unix seconds.

    `id` stays when the name changes. Trainings queued before `trained_since` were cleaned away.
    """

    id: str
    config: CharacterConfig
    created_at: float
    updated_at: float
    trained_since: float = 0.0
    stored: bool = field(default=True, compare=False)


def read(voice: "Voice") -> Character:
    """The character of a voice; the defaults where nothing readable is stored."""
    try:
        data = json.loads((voice.path / FILE).read_text(encoding="utf-8"))
        config = CharacterConfig.model_validate({**data["config"], "character_name": voice.name})
        return Character(
            str(data["id"]), config, float(data["created_at"]), float(data["updated_at"]), float(data["trained_since"])
        )
    except (OSError, ValueError, KeyError, TypeError, ValidationError):
        born = _born(voice.path)
        return Character("", CharacterConfig(character_name=voice.name), born, born, stored=False)


def write(voice: "Voice", character: Character) -> Character:
    """Store a character with a new time of change; one without an id gets it. Raises NoSpace."""
    stored = replace(character, id=character.id or uuid.uuid4().hex, updated_at=time.time(), stored=True)
    data: dict[str, Any] = asdict(replace(stored, config=CharacterConfig()))
    data["config"] = stored.config.model_dump(exclude={"character_name"})
    del data["stored"]
    atomic.write_json(voice.path / FILE, data)
    return stored


def _born(path: Path) -> float:
    """About when a voice was made: its folders that nothing was put in yet still say so."""
    times = []
    for name in ("", *FOLDERS):
        try:
            times.append((path / name).stat().st_mtime)
        except OSError:
            continue
    return min(times, default=0.0)


def iso(seconds: float | None) -> str | None:
    """Local time as ISO 8601 with its offset."""
    return None if seconds is None else datetime.fromtimestamp(seconds).astimezone().isoformat(timespec="milliseconds")
