"""Files that take their places in one folder together, or not at all; the last of them says that all are there.

They are made in a hidden work folder, with copies of what they replace and a note of the moves. The moves themselves
are renames, which need no space. What fails half-way is undone at once; what a killed process left half-way is undone
by the next one (`recover`).
"""

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil

from core import atomic

_NOTE = "moves.json"
_SYNC_THREADS = 8


def work_folder(folder: Path) -> Path:
    """A name for the work folder in `folder`; `atomic.sweep` knows whose it is."""
    return folder / f".tmp-{os.getpid()}-{os.urandom(6).hex()}"


def place(folder: Path, work: Path, moves: Sequence[tuple[Path, Path]]) -> None:
    """Move files of `work` to their places below `folder`: (from, to) in order, the one that says so last.

    Where one cannot be moved, `folder` is as it was before. Raises OSError.
    """
    sync([source for source, _ in moves])
    noted = []
    for number, (source, target) in enumerate(moves):
        before = None
        if target.exists():
            before = f"before-{number}"
            shutil.copy2(target, work / before)
            shutil.copymode(target, source)
        noted.append({"from": str(source.relative_to(work)), "to": str(target.relative_to(folder)), "before": before})
    sync([work / one["before"] for one in noted if one["before"]])
    note = {"moves": noted, "last_sha256": hashlib.sha256(moves[-1][0].read_bytes()).hexdigest()}
    atomic.write_json(work / _NOTE, note)
    try:
        for source, target in moves:
            target.parent.mkdir(parents=True, exist_ok=True)
            if target is moves[-1][1]:
                atomic.fsync_folder(folder)  # what the last one speaks of is there before it
            source.replace(target)
    except BaseException:
        _undo(folder, work, noted)
        raise
    (work / _NOTE).unlink()
    atomic.fsync_folder(folder)


def recover(folder: Path) -> None:
    """Undo the moves of processes that ended half-way."""
    for path in folder.glob(f".tmp-*/{_NOTE}") if folder.is_dir() else ():
        pid = path.parent.name.removeprefix(".tmp-").split("-", 1)[0]
        if not (pid.isascii() and pid.isdigit()) or psutil.pid_exists(int(pid)):
            continue
        note = json.loads(path.read_bytes())
        last = folder / note["moves"][-1]["to"]
        if not last.is_file() or hashlib.sha256(last.read_bytes()).hexdigest() != note["last_sha256"]:
            _undo(folder, path.parent, note["moves"])
        path.unlink()


def sync(paths: Sequence[Path]) -> None:
    """Force files to the disk, several at once: the file system then writes its journal for many together."""
    with ThreadPoolExecutor(_SYNC_THREADS) as pool:
        list(pool.map(atomic.fsync_file, paths))


def _undo(folder: Path, work: Path, noted: Sequence[dict[str, Any]]) -> None:
    for one in reversed(noted):
        target = folder / one["to"]
        if (work / one["from"]).exists():
            continue  # it never left
        if one["before"]:
            (work / one["before"]).replace(target)
        else:
            target.unlink(missing_ok=True)
            for above in target.relative_to(folder).parents[:-1]:
                with contextlib.suppress(OSError):  # others have files there
                    (folder / above).rmdir()
    atomic.fsync_folder(folder)
