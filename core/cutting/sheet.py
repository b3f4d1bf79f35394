"""A sheet: the cues of one recording as a person works on them, with what was found about them. Light.

A sheet lies beside the voice's transcripts. Every change writes it whole; `version` counts the changes, so that two
windows on the same recording cannot overwrite each other unseen. What replaces all cues at once (a file, a
recogniser, a cleaning) counts in `origin` as well and leaves the cues before it in `previous`.
"""

import hashlib
import json
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from core import atomic
from core.errors import BadInput, Conflict
from core.paths import safe_name
from core.subtitles.cue import Cue, Finding
from core.subtitles.write import to_vtt

if TYPE_CHECKING:
    from core.dataset.voices import Voice

MOST_CUES = 50_000
_LONGEST_MS = 48 * 3600 * 1000
_LONGEST_TEXT = 5000
_LOCK = threading.RLock()


class SheetCue(BaseModel):
    """One cue. `rejected`: it is not cut. `notes`: what a person should know about it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    start_ms: int = Field(ge=0, le=_LONGEST_MS)
    end_ms: int = Field(ge=0, le=_LONGEST_MS)
    text: str = Field(max_length=_LONGEST_TEXT)
    speaker: str = Field("", max_length=200)
    index: int | None = None
    rejected: bool = False
    notes: list[str] = []

    @model_validator(mode="after")
    def _has_length(self) -> Self:
        if self.end_ms <= self.start_ms:
            raise ValueError("a cue must end after it begins")
        return self

    @property
    def cue(self) -> Cue:
        """As subtitles have it."""
        return Cue(self.start_ms, self.end_ms, self.text, self.index, self.speaker)


class Sheet(BaseModel):
    """`findings`: what was odd about the file that the cues came from, as dicts of `line`, `code`, `message`.
    `source`: its name. `job`: the newest job whose result was taken over."""

    model_config = ConfigDict(extra="ignore")

    version: int = 0
    origin: int = 0
    source: str = ""
    cues: list[SheetCue] = []
    previous: list[SheetCue] = []
    findings: list[dict[str, Any]] = []
    job: int = 0


_CUES = TypeAdapter(list[SheetCue])


class SheetFile:
    """The sheet of one recording of a voice (`recording` is its path below `raw_audio`), and the files around it."""

    def __init__(self, voice: "Voice", recording: str) -> None:
        digest = hashlib.sha256(recording.encode("utf-8", "surrogateescape")).hexdigest()[:8]
        self.base = voice.transcripts / f"{safe_name(Path(recording).stem[:40], 'recording')}_{digest}"
        self.path = self.file(".cues.json")

    def file(self, suffix: str) -> Path:
        """A file of this recording among the transcripts."""
        return self.base.with_name(self.base.name + suffix)

    def load(self) -> Sheet:
        """The sheet; an empty one where there is none. Raises BadInput if it is damaged."""
        try:
            return Sheet.model_validate_json(self.path.read_bytes())
        except FileNotFoundError:
            return Sheet()
        except (OSError, ValidationError) as err:
            raise BadInput(
                f"The cues in {self.path.name} cannot be read.",
                "Drop in the subtitles again; the damaged file is kept beside them.",
                where=str(self.path),
            ) from err

    def save(self, version: int, cues: Sequence[dict[str, Any]]) -> Sheet:
        """Keep edited cues, made from `version`. Raises BadInput (no cues), Conflict (changed meanwhile), NoSpace."""
        checked = self._checked(cues)
        with _LOCK:
            sheet = self.load()
            if sheet.version != version:
                raise Conflict(
                    "The cues were changed in another window meanwhile.",
                    "Reload the page to go on from there.",
                    where=str(self.path),
                )
            return self._write(sheet.model_copy(update={"cues": checked}))

    def replace(
        self, cues: Sequence[Cue], source: str, findings: Sequence[Finding] = (), *, keep_rejected: bool = False,
        job: int = 0,
    ) -> Sheet:  # fmt: skip
        """Put other cues in the place of all, in order of their start. `keep_rejected`: rejected ones stay as they are.

        Raises BadInput (too many), NoSpace.
        """
        if len(cues) > MOST_CUES:
            raise BadInput(f"{len(cues)} cues are more than the page can hold.", "Split the recording.", where=source)
        notes: dict[int, list[str]] = {}
        for finding in findings:
            if finding.cue is not None:
                notes.setdefault(finding.cue, []).append(finding.message)
        for at, cue in enumerate(cues):
            if len(cue.text) > _LONGEST_TEXT:
                rest = f"Its text is too long for one cue; what follows was left out: {cue.text[_LONGEST_TEXT:]}"
                notes.setdefault(at, []).append(rest)
        made = [
            SheetCue(
                start_ms=cue.start_ms, end_ms=cue.end_ms, text=cue.text[:_LONGEST_TEXT], speaker=cue.speaker[:200],
                index=cue.index, notes=notes.get(at, []),
            )
            for at, cue in enumerate(cues)
            if cue.end_ms <= _LONGEST_MS
        ]  # fmt: skip
        with _LOCK:
            before = self._or_put_aside()
            if job and before.job >= job:  # another window was faster
                return before
            if keep_rejected:
                made += [cue for cue in before.cues if cue.rejected]
            told = [{"line": f.line, "code": f.code, "message": f.message} for f in findings]
            if len(made) < len(cues):
                told.append(
                    {"line": None, "code": "too_late", "message": "Cues after two days of audio were left out."}
                )
            return self._write(
                Sheet(
                    version=before.version, origin=before.origin + 1, source=source,
                    cues=sorted(made, key=lambda cue: (cue.start_ms, cue.end_ms)), previous=before.cues,
                    findings=told, job=max(before.job, job),
                )
            )  # fmt: skip

    def shift(self, offset_s: float, drift: float) -> Sheet:
        """Correct the times of all cues: true time = `drift` * time + `offset_s`, to the millisecond, never below zero.

        Raises BadInput (nothing left), NoSpace.
        """

        def moved(ms: int) -> int:
            return max(0, round(ms * drift + offset_s * 1000.0))

        with _LOCK:
            sheet = self.load()
            cues = [
                cue.model_copy(update={"start_ms": moved(cue.start_ms), "end_ms": moved(cue.end_ms)})
                for cue in sheet.cues
                if moved(cue.end_ms) > moved(cue.start_ms)
            ]
            changes = {"cues": cues, "previous": sheet.cues, "origin": sheet.origin + 1}
            return self._write(sheet.model_copy(update=changes))

    def seen_job(self, job: int) -> Sheet:
        """Remember that a job's result was looked at, whatever became of it."""
        with _LOCK:
            sheet = self.load()
            return sheet if sheet.job >= job else self._write(sheet.model_copy(update={"job": job}))

    def export(self, suffix: str) -> Path:
        """Write the cues that are not rejected as WebVTT, for a job. Raises BadInput (there are none), NoSpace."""
        kept = [cue.cue for cue in self.load().cues if not cue.rejected and cue.text.strip()]
        if not kept:
            raise BadInput(
                "There are no cues to work on.", "Drop in subtitles, transcribe, or accept some cues.", where="cues"
            )
        path = self.file(suffix)
        atomic.write_text(path, to_vtt(kept))
        return path

    def _checked(self, cues: Sequence[dict[str, Any]]) -> list[SheetCue]:
        if len(cues) > MOST_CUES:
            raise BadInput(f"{len(cues)} cues are more than the page can hold.", "Split the recording.", where="cues")
        try:
            checked = _CUES.validate_python(list(cues))
        except ValidationError as err:
            first = err.errors()[0]
            place = ".".join(str(part) for part in first["loc"])
            raise BadInput(
                f"A cue cannot be kept ({place}: {first['msg']}).", "Undo the last change.", where="cues"
            ) from err
        return sorted(checked, key=lambda cue: (cue.start_ms, cue.end_ms))

    def _or_put_aside(self) -> Sheet:
        try:
            return self.load()
        except BadInput:
            self.path.replace(self.path.with_suffix(".damaged.json"))
            return Sheet()

    def _write(self, sheet: Sheet) -> Sheet:
        written = sheet.model_copy(update={"version": sheet.version + 1})
        atomic.write_text(self.path, json.dumps(written.model_dump(), ensure_ascii=False))
        return written
