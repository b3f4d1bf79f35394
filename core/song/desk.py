"""Songs, behind `Studio.songs`: queued, listed with what a page shows of them. Light."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core import summaries
from core.errors import BadInput, NotFound
from core.jobs.model import Job
from core.song.options import parse_options

if TYPE_CHECKING:
    from core.dataset.voices import VoiceStore
    from core.jobs.queue import JobQueue
    from core.settings import Settings


class SongDesk:
    """What the doors call for songs."""

    def __init__(self, settings: "Settings", voices: "VoiceStore", jobs: "JobQueue") -> None:
        self.settings = settings
        self._voices, self._jobs = voices, jobs

    def start(self, options: Mapping[str, Any]) -> Job:
        """Queue a song (see `SongOptions`).

        What would stop it is said now: BadInput (options, a file that is not there), NotFound (voice, model),
        Unavailable (a whole song, and no separation model here).
        """
        parsed = parse_options(dict(options))
        for name in ("source", "vocals", "accompaniment"):
            path = getattr(parsed, name)
            if path is not None and not Path(path).is_file():
                raise BadInput(f"There is no file {path}.", "Choose an audio file.", where=name)
        voice = self._voices.get(parsed.voice)
        if not summaries.models_of(voice):
            raise NotFound(f"The voice {voice.name!r} has no trained model.", "Train it first.", where=voice.name)
        if parsed.source is not None:
            from core.cleaning.mdx_models import choose

            choose(self.settings, parsed.separator)
        return self._jobs.submit("song", dict(options), voice.name)

    def separators(self) -> list[str]:
        """File names of the separation models that are here."""
        from core.cleaning.mdx_models import names

        return names(self.settings)

    @staticmethod
    def meters(sidecar: Path) -> dict[str, Any]:
        """What the meters read while a song was mixed, by bus, and `meter_s`; empty where the sidecar is gone."""
        try:
            data = json.loads(sidecar.read_text(encoding="utf-8"))
            return {**data["meters"], "meter_s": data["meter_s"], "matched_db": data["matched_db"]}
        except (OSError, ValueError, KeyError, TypeError):
            return {}
