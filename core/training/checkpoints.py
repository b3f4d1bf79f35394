"""What checkpoints a run has, what they cost and which are starred. Light: no torch, for the page and the command line.

Stars live in `stars.json` of the run, which only people write, so that a run that goes on and a page that stars do not
overwrite each other.
"""

import contextlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core import atomic
from core.errors import NotFound
from core.training.runs import Run

STARS_FILE = "stars.json"
LIGHT_FOLDER, FULL_FOLDER, PROBES_FOLDER = "light", "checkpoints", "probes"


@dataclass(frozen=True)
class Checkpoint:
    """One step of a run that can be gone back to, listened to, or both."""

    step: int
    full: Path | None
    """Folder to resume from; None: only a light one is left."""
    light: Path | None
    """Folder to listen to and to convert with."""
    n_bytes: int
    starred: bool
    label: str
    """What a person wrote when starring it."""
    best: bool
    """The lowest distance of the probes so far."""
    probes: list[Path]
    """Renders of the held-out clips at that step."""
    about: dict[str, Any]
    """What the manifest says beside the files: config hash, data hash, versions."""


@dataclass(frozen=True)
class DiskUse:
    """Bytes that a run takes, by what they are for."""

    full: int
    n_full: int
    light: int
    n_light: int
    probes: int
    logs: int
    damaged: int
    total: int


def stars(run: Run) -> dict[int, str]:
    """Starred steps with their labels; empty where the file is missing or unreadable."""
    try:
        data = json.loads((run.path / STARS_FILE).read_text(encoding="utf-8"))
        return {int(step): str(label) for step, label in data.items()}
    except (OSError, ValueError, AttributeError):
        return {}


def star(run: Run, step: int, on: bool = True, label: str = "") -> dict[int, str]:
    """Star a checkpoint, so that it is kept, or take the star away. Returns the stars.

    Raises:
        NotFound: there is no checkpoint of that step.
    """
    if on and step not in {c.step for c in list_checkpoints(run)}:
        raise NotFound(f"The run '{run.name}' has no checkpoint of step {step}.", "Choose one of its list.")
    now = stars(run)
    if on:
        now[step] = label
    else:
        now.pop(step, None)
    atomic.write_json(run.path / STARS_FILE, {str(key): now[key] for key in sorted(now)})
    return now


def list_checkpoints(run: Run) -> list[Checkpoint]:
    """Checkpoints of a run, newest first. Folders without a readable manifest are left out."""
    full, light = _by_step(run.path / FULL_FOLDER), _by_step(run.path / LIGHT_FOLDER)
    best = run.read().best_step
    labels = stars(run)
    found = []
    for step in sorted({*full, *light}, reverse=True):
        parts = [p for p in (full.get(step), light.get(step)) if p is not None]
        about = {k: v for k, v in _manifest(parts[0]).items() if k not in ("files", "manifest_sha256", "format")}
        found.append(
            Checkpoint(
                step,
                full.get(step),
                light.get(step),
                sum(size_of(path) for path in parts),
                step in labels,
                labels.get(step, ""),
                step == best,
                sorted((run.path / PROBES_FOLDER / parts[0].name).glob("*.flac")),
                about,
            )
        )
    return found


def disk_use(run: Run) -> DiskUse:
    """What a run takes on the disk. What vanishes while it is counted counts nothing."""
    full, light = _by_step(run.path / FULL_FOLDER), _by_step(run.path / LIGHT_FOLDER)
    n_full, n_light = sum(map(size_of, full.values())), sum(map(size_of, light.values()))
    probes = size_of(run.path / PROBES_FOLDER)
    damaged = sum(size_of(p) for p in (run.path / FULL_FOLDER).glob("*.damaged"))
    total = size_of(run.path)
    return DiskUse(n_full, len(full), n_light, len(light), probes, _logs(run.path), damaged, total)


def size_of(path: Path) -> int:
    """Bytes of all files below a folder; 0 where it is not there."""
    total = 0
    for folder, _, names in os.walk(path):  # passes over a folder that was removed meanwhile; rglob raises
        for name in names:
            with contextlib.suppress(OSError):
                total += os.path.getsize(os.path.join(folder, name))
    return total


def _logs(folder: Path) -> int:
    files = [*folder.glob("events.out.tfevents.*"), *folder.glob("*.jsonl"), *folder.glob("*.json")]
    return sum(file.stat().st_size for file in files if file.is_file())


def _manifest(path: Path) -> dict[str, Any]:
    try:
        data = json.loads((path / "manifest.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return data if isinstance(data, dict) else {}


def _by_step(folder: Path) -> dict[int, Path]:
    if not folder.is_dir():
        return {}
    found = {}
    for path in folder.iterdir():
        number = path.name.removeprefix("step_")
        if path.name.startswith("step_") and number.isdigit() and "files" in _manifest(path):
            found[int(number)] = path
    return found
