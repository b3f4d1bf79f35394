"""What cleaning made of a recording, step by step, and how far of it is in use. Light."""

import hashlib
import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ConfigDict, TypeAdapter, ValidationError, with_config

from core import atomic
from core.errors import Conflict, NotFound
from core.paths import safe_name

if TYPE_CHECKING:
    from core.dataset.voices import Voice

RECORD_FILE = "record.json"


@dataclass(frozen=True)
class StepRecord:
    """One step: its `file` (name in the record's folder) is the sound after it; before it is the step before, or the
    recording. `before`, `after`: `lufs`, `peak_db`, `snr_db` of the first minute. `notes`: remarks for people."""

    name: str
    file: str
    seconds: float
    before: dict[str, float] = field(default_factory=dict)
    after: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


@with_config(ConfigDict(extra="ignore"))
@dataclass(frozen=True)
class CleanRecord:
    """One recording, cleaned. `active`: how many of the steps are in use, 0 to all; the others are kept for redo.

    `size_bytes`, `mtime_ns` of the recording: another file under its name has nothing to do with this record.
    """

    source: str
    size_bytes: int
    mtime_ns: int
    rate_hz: int
    options: dict[str, Any]
    active: int
    steps: list[StepRecord]


_ADAPTER = TypeAdapter(CleanRecord)


def folder_of(voice: "Voice", source: str) -> Path:
    """Where a recording's cleaned files lie. Names that differ in folders or odd characters only do not meet."""
    digest = hashlib.sha256(source.encode("utf-8", "surrogateescape")).hexdigest()[:8]
    return voice.denoised / f"{safe_name(Path(source).stem[:40], 'recording')}_{digest}"


def read(voice: "Voice", source: str) -> CleanRecord | None:
    """The record of a recording; None if it was not cleaned, changed since, or the record is damaged."""
    folder = folder_of(voice, source)
    try:
        record = _ADAPTER.validate_json((folder / RECORD_FILE).read_bytes())
        stat = (voice.raw / source).stat()
    except (OSError, ValidationError):
        return None
    if (stat.st_size, stat.st_mtime_ns) != (record.size_bytes, record.mtime_ns):
        return None
    whole = 0 <= record.active <= len(record.steps) and all((folder / step.file).is_file() for step in record.steps)
    return record if whole else None


def current(voice: "Voice", source: str) -> Path:
    """The file to work with in place of a recording: the last step in use, or the recording itself."""
    record = read(voice, source)
    if record is None or record.active == 0:
        return voice.raw / source
    return folder_of(voice, source) / record.steps[record.active - 1].file


def before_and_after(voice: "Voice", source: str) -> list[tuple[str, Path, Path]]:
    """(step, file before it, file after it) for listening, in order. Raises NotFound."""
    record = _known(voice, source)
    folder = folder_of(voice, source)
    files = [voice.raw / source, *(folder / step.file for step in record.steps)]
    return [(step.name, files[i], files[i + 1]) for i, step in enumerate(record.steps)]


def undo(voice: "Voice", source: str) -> CleanRecord:
    """Put the last step in use out of use. Raises NotFound (not cleaned), Conflict (none in use)."""
    return _move(voice, source, -1)


def redo(voice: "Voice", source: str) -> CleanRecord:
    """Put the next step into use again. Raises NotFound (not cleaned), Conflict (all in use)."""
    return _move(voice, source, +1)


def _move(voice: "Voice", source: str, by: int) -> CleanRecord:
    record = _known(voice, source)
    moved = replace(record, active=record.active + by)
    if not 0 <= moved.active <= len(record.steps):
        raise Conflict(f"There is nothing to {'undo' if by < 0 else 'redo'} for {source}.", "", where=source)
    write(folder_of(voice, source), moved)
    return moved


def _known(voice: "Voice", source: str) -> CleanRecord:
    record = read(voice, source)
    if record is None:
        raise NotFound(f"{source} was not cleaned, or it changed since.", "Clean it first.", where=source)
    return record


def write(folder: Path, record: CleanRecord) -> None:
    """Put a record into its folder. Raises NoSpace."""
    atomic.write_text(folder / RECORD_FILE, json.dumps(asdict(record), ensure_ascii=False, indent=2) + "\n")
