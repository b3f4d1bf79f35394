"""Training runs on disk, seen from outside: light (no torch), for the page, the command line and the loop itself.

A run is a folder under `settings.runs`::

    config.json    the model's configuration
    run.json       state, options, voice, encoder and its fingerprint, step, notes   (RunInfo)
    data.json      the clips it trains on and those it holds out, by sha256
    metrics.jsonl  one object per log step
    events.out.*   TensorBoard
    checkpoints/   generations, see core.training.generations
    light/         half-precision voices to listen to, see core.training.light
    probes/        renders of the held-out clips by step
    listening/     blind comparisons, see core.training.listening
"""

import json
import time
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from core import atomic
from core.errors import ModelFileError, NotFound
from core.paths import inside, safe_name, unique_path
from core.training.alive import SILENT_S, heartbeat_age_s, host, own_process, process_alive
from core.training.alive import boot_id as this_boot

__all__ = [
    "METRICS_FILE",
    "RUN_FILE",
    "STATES",
    "Run",
    "RunInfo",
    "create_run",
    "is_going",
    "list_runs",
    "open_run",
    "own_process",
    "process_alive",
]

RUN_FILE = "run.json"
METRICS_FILE = "metrics.jsonl"
STATES = ("preparing", "running", "stopped", "completed", "failed", "interrupted")


@dataclass
class RunInfo:
    """What run.json holds."""

    name: str
    voice: str
    preset: str
    encoder: str
    state: str = "preparing"
    """One of STATES; "interrupted" is never written, it is what a running run whose process is gone is shown as."""
    step: int = 0
    steps: int = 0
    encoder_fingerprint: str = ""
    pitch: str = ""
    started_at: float = 0.0
    updated_at: float = 0.0
    trained_s: float = 0.0
    """Seconds spent in the loop, over all resumes."""
    pid: int | None = None
    pid_started: float | None = None
    host: str = ""
    """Machine that trains it; empty: this one."""
    boot_id: str = ""
    paused: str | None = None
    """Why a running run waits (a full disk), and what it needs; None while it computes."""
    offer: dict[str, Any] | None = None
    """Options to resume with after a failure that other options would avoid, such as a smaller batch."""
    sessions: list[dict[str, Any]] = field(default_factory=list)
    """Each start: {"at": unix s, "from_step", "host", "device", "threads", "ranks"}."""
    save_s: float | None = None
    """How long the last save took; a stop waits for a step and a save."""
    step_s: float | None = None
    manifest: dict[str, Any] = field(default_factory=dict)
    """What it takes to make the run again: see core.training.reproduce."""
    best_step: int | None = None
    best_value: float | None = None
    """Mean log-mel distance of the probes at best_step (lower is better)."""
    saved_step: int | None = None
    model: str | None = None
    """Folder of the exported voice model."""
    options: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    """What a person should know: fallbacks to an older checkpoint, changed data."""
    error: dict[str, str] | None = None
    versions: dict[str, str] = field(default_factory=dict)


class Run:
    """One run folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def name(self) -> str:
        """Folder name, unique under the runs folder."""
        return self.path.name

    @property
    def checkpoints(self) -> Path:
        """Folder of generations."""
        return self.path / "checkpoints"

    @property
    def config_file(self) -> Path:
        """The model's config.json."""
        return self.path / "config.json"

    @property
    def data_file(self) -> Path:
        """The clips trained on and held out."""
        return self.path / "data.json"

    def read(self) -> RunInfo:
        """run.json.

        Raises:
            NotFound: there is no such run.
            ModelFileError: run.json is not readable.
        """
        file = self.path / RUN_FILE
        try:
            data = json.loads(file.read_text(encoding="utf-8"))
            known = {f.name for f in fields(RunInfo)}
            return RunInfo(**{k: v for k, v in data.items() if k in known})
        except FileNotFoundError as err:
            raise NotFound(f"There is no training run '{self.name}'.", "Choose one of the list.") from err
        except (ValueError, TypeError, AttributeError) as err:
            raise ModelFileError(f"{file} cannot be read: {err}", "Its checkpoints may still be whole.") from err

    def write(self, info: RunInfo) -> None:
        """Replace run.json."""
        info.updated_at = time.time()
        atomic.write_json(self.path / RUN_FILE, asdict(info))

    def metrics(self, since_step: int = -1) -> list[dict[str, Any]]:
        """What was logged after `since_step`, one row a step, in order. A half-written last line is left out; where a
        resumed run repeated steps the later values count."""
        try:
            text = (self.path / METRICS_FILE).read_text(encoding="utf-8")
        except FileNotFoundError:
            return []
        rows: dict[int, dict[str, Any]] = {}
        for line in text.splitlines():
            try:
                row = json.loads(line)
            except ValueError:
                continue
            if isinstance(row, dict) and isinstance(row.get("step"), int) and row["step"] > since_step:
                rows.setdefault(row["step"], {}).update(row)
        return [rows[step] for step in sorted(rows)]


def create_run(runs_dir: Path, name: str | None, voice: str, preset: str) -> Run:
    """Make a new, empty run folder; a taken name gets a number."""
    runs_dir.mkdir(parents=True, exist_ok=True)
    wanted = name or f"{voice}-{preset}-{time.strftime('%Y%m%d-%H%M%S')}"
    path = unique_path(runs_dir / safe_name(wanted, fallback="run"))
    path.mkdir()
    return Run(path)


def open_run(runs_dir: Path, name: str) -> Run:
    """An existing run by name.

    Raises:
        NotFound: there is none.
        BadInput: the name leads out of the runs folder.
    """
    run = Run(inside(runs_dir, runs_dir / name))
    if not (run.path / RUN_FILE).is_file():
        raise NotFound(f"There is no training run '{name}'.", "Choose one of the list.", where=str(runs_dir))
    return run


def list_runs(runs_dir: Path, voice: str | None = None) -> list[RunInfo]:
    """Readable runs, newest first, of one voice or all. One marked running whose process is gone is "interrupted"."""
    found: list[RunInfo] = []
    if not runs_dir.is_dir():
        return found
    for path in runs_dir.iterdir():
        if not (path / RUN_FILE).is_file():
            continue
        try:
            info = Run(path).read()
        except (ModelFileError, NotFound):
            continue
        info.name = path.name
        if info.state in ("preparing", "running") and not is_going(path, info):
            info.state, info.paused = "interrupted", None
        if voice is None or info.voice == voice:
            found.append(info)
    return sorted(found, key=lambda info: info.started_at, reverse=True)


def is_going(path: Path, info: RunInfo) -> bool:
    """Whether a run that says it goes on really does: its process lives here, or its heartbeat says so elsewhere."""
    if info.state not in ("preparing", "running"):
        return False
    if info.host and info.host != host():
        age_s = heartbeat_age_s(path)
        return age_s is not None and age_s < SILENT_S
    if info.boot_id and info.boot_id != this_boot():
        return False
    return process_alive(info.pid, info.pid_started)
