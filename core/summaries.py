"""What the three doors list: voices, recordings, models, the state of the machine. Read from disk, light."""

import json
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from core.device import DeviceInfo
from core.errors import StudioError
from core.jobs.model import Job
from core.training.runs import RunInfo as RunSummary

if TYPE_CHECKING:
    from core.dataset.clips import Clip
    from core.dataset.voices import Voice

__all__ = [
    "KeySuggestion",
    "ModelSummary",
    "RecordingInfo",
    "RunSummary",
    "SystemStatus",
    "VoiceSummary",
    "clips_of",
    "models_of",
    "recordings_of",
    "run_of",
]

Value = TypeVar("Value")


WEIGHTS = ("model.safetensors", "lora_weights.safetensors")
"""Files of which a model folder holds one."""


@dataclass(frozen=True)
class VoiceSummary:
    """One voice in a list. `minutes` counts its accepted clips."""

    name: str
    minutes: float
    clips: int
    accepted: int
    runs: int
    models: int


@dataclass(frozen=True)
class RecordingInfo:
    """One imported recording; `problem` says why it cannot be used (then `duration_s` is None)."""

    name: str
    path: Path
    size_bytes: int
    duration_s: float | None
    rate_hz: int
    channels: int
    codec: str
    problem: str = ""


@dataclass(frozen=True)
class ModelSummary:
    """One trained voice model. `f0_median` is the pitch of its training data, Hz. `path` is its folder."""

    name: str
    path: Path
    voice: str
    step: int
    preset: str
    encoder: str
    f0_median: float | None
    created: float
    engine: str = "sovits"

    @property
    def weights(self) -> Path:
        """Its file of weights."""
        return next((self.path / name for name in WEIGHTS if (self.path / name).is_file()), self.path / WEIGHTS[0])


@dataclass(frozen=True)
class KeySuggestion:
    """How far to transpose a source so that it suits a voice; the medians are of voiced pitch, Hz."""

    semitones: int
    source_median_hz: float | None
    target_median_hz: float | None


@dataclass(frozen=True)
class SystemStatus:
    """What a status bar shows."""

    device: DeviceInfo
    disk_free_bytes: int
    running: list[Job]
    queued: int


class _Remembered(Generic[Value]):
    """What was read from a file, until the file changes. Pages ask every second or two."""

    def __init__(self, read: Callable[[Path], Value], most: int = 4096) -> None:
        self._read, self._most = read, most
        self._lock = threading.Lock()
        self._kept: dict[Path, tuple[tuple[int, int], Value]] = {}

    def __call__(self, path: Path) -> Value:
        """Raises OSError if the file is gone, and what the reading raises."""
        stat = path.stat()
        stamp = (stat.st_mtime_ns, stat.st_size)
        with self._lock:
            kept = self._kept.get(path)
        if kept is not None and kept[0] == stamp:
            return kept[1]
        value = self._read(path)
        with self._lock:
            if len(self._kept) >= self._most:
                self._kept.clear()
            self._kept[path] = (stamp, value)
        return value


def _probe(path: Path) -> RecordingInfo:
    from core.audio.decode import probe

    size = path.stat().st_size
    try:
        info = probe(path)
    except StudioError as err:
        return RecordingInfo(path.name, path, size, None, 0, 0, "", err.message)
    return RecordingInfo(path.name, path, size, info.duration_s, info.rate_hz, info.channels, info.codec)


def _read_card(path: Path) -> dict[str, Any]:
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return {}
    return card if isinstance(card, dict) else {}


_probed = _Remembered(_probe)
_cards = _Remembered(_read_card)
_clip_tables: dict[Path, tuple[tuple[int, int], "list[Clip]"]] = {}


def clips_of(voice: "Voice") -> "list[Clip]":
    """The clips of a voice, kept until their table changes; empty before the first preparation."""
    from core.dataset.clips import ClipTable

    table = ClipTable(voice)
    try:
        stat = table.path.stat()
    except OSError:
        return []
    stamp = (stat.st_mtime_ns, stat.st_size)
    kept = _clip_tables.get(table.path)
    if kept is None or kept[0] != stamp:
        kept = (stamp, table.load())
        _clip_tables[table.path] = kept
    return list(kept[1])


def recordings_of(voice: "Voice") -> list[RecordingInfo]:
    """The imported recordings of a voice by name; one that cannot be read says why."""
    found: list[RecordingInfo] = []
    if voice.raw.is_dir():
        for path in sorted(voice.raw.rglob("*")):
            if path.is_file() and not path.name.startswith("."):
                try:
                    found.append(_probed(path))
                except OSError:  # it went away between the listing and the look
                    continue
    return found


def models_of(voice: "Voice", engine: str | None = "sovits") -> list[ModelSummary]:
    """The trained models of a voice, newest first: those of one engine, or of all (None). A folder without a readable
    card is no model."""
    found: list[ModelSummary] = []
    if not voice.models.is_dir():
        return found
    for folder in voice.models.iterdir():
        if folder.suffix in (".new", ".old") or not any((folder / f).is_file() for f in WEIGHTS):
            continue
        try:
            card = _cards(folder / "card.json")
        except OSError:
            continue
        if card and engine in (None, card.get("engine", "sovits")):
            median = card.get("f0_median")
            found.append(
                ModelSummary(
                    name=folder.name,
                    path=folder,
                    voice=voice.name,
                    step=int(card.get("step") or 0),
                    preset=str(card.get("preset", "")),
                    encoder=str(card.get("encoder", "")),
                    f0_median=float(median) if isinstance(median, (int, float)) else None,
                    created=float(card.get("created") or 0.0),
                    engine=str(card.get("engine", "sovits")),
                )
            )
    return sorted(found, key=lambda model: model.created, reverse=True)


def run_of(job: Job, runs: Iterable[RunSummary]) -> RunSummary | None:
    """The run, among those of the job's voice, that a training job made or went on with, if it got that far."""
    named = (job.result or {}).get("run") or job.params.get("resume")
    for run in runs:
        if named is not None:
            if run.name == named:
                return run
        elif (
            job.started_at is not None
            and job.started_at <= run.started_at <= (job.finished_at or run.started_at)
            and run.preset == job.params.get("preset", run.preset)
        ):
            return run  # one training at a time, so a run begun in the job's time is the job's
    return None
