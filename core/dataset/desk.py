"""What the page Dataset does beyond the clip table, behind `Studio.dataset`: quality, history, cleaning. Light."""

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.dataset.history import RecordedTable
from core.errors import NotFound
from core.jobs.model import Job

if TYPE_CHECKING:
    from core.cleaning.record import CleanRecord
    from core.dataset.history import Step
    from core.dataset.voices import VoiceStore
    from core.jobs.queue import JobQueue
    from core.settings import Settings

_LOCK = threading.Lock()
_READ: dict[Path, tuple[int, dict[str, Any]]] = {}
_MOST_READ = 8


class DatasetDesk:
    """`refuse_while_busy(voice, kind)` raises Conflict while a job of that kind works on the voice."""

    def __init__(
        self, settings: "Settings", voices: "VoiceStore", jobs: "JobQueue", refuse_while_busy: Callable[..., None]
    ) -> None:
        self.settings = settings
        self._voices, self._jobs, self._refuse_while_busy = voices, jobs, refuse_while_busy

    # -- quality

    def quality(self, voice: str) -> dict[str, Any] | None:
        """What the last run of the gate found (see `run_qa`; `rows` holds every clip); None before the first.

        Kept until the file changes: do not write to it. Raises NotFound.
        """
        path = self._voices.get(voice).path / "reports" / "quality.json"
        try:
            stamp = path.stat().st_mtime_ns
            with _LOCK:
                kept = _READ.get(path)
            if kept is None or kept[0] != stamp:
                kept = (stamp, json.loads(path.read_text("utf-8")))
                with _LOCK:
                    if len(_READ) >= _MOST_READ:
                        _READ.clear()
                    _READ[path] = kept
        except (OSError, ValueError):
            return None
        return kept[1]

    def findings(self, voice: str, language: str) -> list[dict[str, Any]]:
        """What the last run found in the set and in groups of clips, worst first, with `title`, `why`, `advice` and
        `figures` in `language` ("en" or "zh"), besides `code`, `severity` and `clips` (ids)."""
        return [_in_words(one, language) for one in (self.quality(voice) or {}).get("findings", [])]

    def clip_findings(self, voice: str, clip: str, language: str) -> list[dict[str, Any]]:
        """What the last run found in one clip, as `findings` gives it."""
        rows = (self.quality(voice) or {}).get("rows", [])
        row = next((one for one in rows if one["id"] == clip), None)
        found = row["findings"] if row else []
        return [_in_words({**one, "low": one["figure"], "high": one["figure"], "clips": []}, language) for one in found]

    def limits(self, preset: str) -> dict[str, Any]:
        """The thresholds of a preset, "svc" or "tts". Raises BadInput."""
        from core.quality.thresholds import parse_thresholds

        return parse_thresholds(preset).model_dump()

    def report(self, voice: str) -> Path:
        """The printable report of the last run. Raises NotFound."""
        found = self.quality(voice)
        path = Path(str(found["report"])) if found else None
        if path is None or not path.is_file():
            raise NotFound(f"There is no report on the voice {voice!r}.", "Check its quality first.", where=voice)
        return path

    def check(self, voice: str, preset: str, thresholds: Mapping[str, Any], options: Mapping[str, Any]) -> Job:
        """Queue a run of the gate. `options`: see QaOptions. Raises BadInput, NotFound, Conflict (one is under way)."""
        from core.quality.options import parse_qa_options
        from core.quality.thresholds import parse_thresholds

        parse_thresholds(preset, thresholds)
        parse_qa_options(options)
        name = self._voices.get(voice).name
        self._refuse_while_busy(voice, "qa")
        params = {**options, "voice": name, "preset": preset, "thresholds": dict(thresholds)}
        return self._jobs.submit("qa", params, voice)

    def steps(self, voice: str) -> "tuple[list[Step], list[Step]]":
        """(changes of verdicts that can be undone, and redone), next first."""
        return RecordedTable(self._voices.get(voice)).steps()

    # -- cleaning of recordings

    def clean(self, voice: str, options: Mapping[str, Any], files: Sequence[str]) -> Job:
        """Queue the cleaning of recordings (none: all). `options`: see CleanOptions.

        Raises BadInput, Unavailable (a step lacks its weights or its package; says what to do), Conflict.
        """
        from core.cleaning.options import parse_clean_options

        parsed = parse_clean_options(options)
        if "separate" in parsed.steps:
            from core.cleaning.separate import check

            check(self.settings, parsed.separator)
        for kind in ("clean", "prep", "train"):
            self._refuse_while_busy(voice, kind)
        params = {"voice": self._voices.get(voice).name, "options": dict(options), "files": list(files)}
        return self._jobs.submit("clean", params, voice)

    def separators(self) -> list[str]:
        """The separation models that are here, by file name."""
        from core.cleaning.mdx_models import names

        return names(self.settings)

    def cleaned(self, voice: str, recording: str) -> "tuple[CleanRecord, list[tuple[str, Path]]] | None":
        """The record of a cleaned recording with (step, file after it) of every step; None if it was not cleaned."""
        from core.cleaning.record import folder_of, read

        owner = self._voices.get(voice)
        record = read(owner, recording)
        if record is None:
            return None
        folder = folder_of(owner, recording)
        return record, [(step.name, folder / step.file) for step in record.steps]

    def undo_cleaning(self, voice: str, recording: str) -> "CleanRecord":
        """Put the last step in use out of use. Raises NotFound, Conflict."""
        from core.cleaning.record import undo

        return undo(self._voices.get(voice), recording)

    def redo_cleaning(self, voice: str, recording: str) -> "CleanRecord":
        """Put the next step into use again. Raises NotFound, Conflict."""
        from core.cleaning.record import redo

        return redo(self._voices.get(voice), recording)


def _in_words(one: dict[str, Any], language: str) -> dict[str, Any]:
    from core.quality.findings import Finding
    from core.quality.texts import said

    fields = ("code", "severity", "clips", "low", "high", "limit", "params")
    words = said(Finding(**{name: one[name] for name in fields}), language)
    return {"code": one["code"], "severity": one["severity"], "clips": one["clips"], **vars(words)}
