"""Texts in a trained voice, behind `Studio.texts`: which engines can speak here, with whose voices. Light."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core import summaries
from core.errors import NotFound
from core.jobs.model import Job
from core.paths import unique_path
from core.text_to_voice.language import detect
from core.text_to_voice.options import Engine, parse_options

if TYPE_CHECKING:
    from core.dataset.voices import VoiceStore
    from core.jobs.queue import JobQueue
    from core.settings import Settings

KIND = "text-to-voice"
PIPER_FOLDER = "piper"
_PACKAGES: dict[Engine, str] = {"builtin": "espeakng_loader", "piper": "piper", "edge": "edge_tts"}


@dataclass(frozen=True)
class EngineState:
    """An engine, and whether its package is installed here."""

    name: Engine
    ready: bool


class TextDesk:
    """What the doors call for texts in a trained voice."""

    def __init__(self, settings: "Settings", voices: "VoiceStore", jobs: "JobQueue") -> None:
        self.settings = settings
        self._voices, self._jobs = voices, jobs

    @staticmethod
    def engines() -> list[EngineState]:
        """Every engine, the one that needs nothing first. Whether a service can be reached is not asked."""
        return [EngineState(name, find_spec(package) is not None) for name, package in _PACKAGES.items()]

    @staticmethod
    def language(text: str) -> str:
        """Two-letter code of the language that a text seems to be in."""
        return detect(text)

    def speakers(self, engine: str, language: str) -> list[str]:
        """Whom an engine can be asked for: names, or paths for Piper, whose voices lie in pretrain/piper.

        "woman" and "man" where the engine has both; others may be typed all the same.
        """
        if engine == "piper":
            folder = self.settings.pretrain_dir / PIPER_FOLDER
            return sorted(str(path) for path in folder.rglob("*.onnx") if Path(f"{path}.json").is_file())
        if engine == "edge":
            from core.text_to_voice.edge import VOICES

            return ["woman", "man", *VOICES.get(language, ())]
        return ["woman", "man"]

    def start(self, options: Mapping[str, Any]) -> Job:
        """Queue a text (see `TextOptions`); what the engine says is kept among the sources, to be heard beside it.

        Raises BadInput (options), NotFound (voice, or it has no model).
        """
        from core.text_to_voice.job import short_name

        parsed = parse_options(dict(options))
        voice = self._voices.get(parsed.voice)
        if not summaries.models_of(voice):
            raise NotFound(f"The voice {voice.name!r} has no trained model.", "Train it first.", where=voice.name)
        kept = unique_path(self.settings.outputs / "sources" / f"{short_name(parsed.text)}.wav")
        return self._jobs.submit(KIND, {"spoken": str(kept), **options}, voice.name)
