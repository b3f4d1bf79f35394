"""Writes that either happen wholly or leave what was there before.

Order: write beside, fsync the file, rename, fsync the folder. A reader sees the old content or the new
one, never a part, also after a power cut. Temporary names start with `.tmp-` and carry the writer's
process id, so that leftovers of a killed process can be told from work in progress (`sweep`).
"""

import contextlib
import json
import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from core.errors import BadInput, Conflict, StudioError, is_no_space, no_space

_PREFIX = ".tmp-"
_WINDOWS = os.name == "nt"
_REPLACE_PATIENCE_S = 2.0


def _temp_beside(path: Path) -> Path:
    # The suffix stays, because audio encoders choose the container by it.
    return path.with_name(f"{_PREFIX}{os.getpid()}-{secrets.token_hex(6)}{path.suffix[:20]}")


def fsync_file(path: Path) -> None:
    """Force the content of a file to the disk."""
    with open(path, "rb+") as handle:
        os.fsync(handle.fileno())


def fsync_folder(path: Path) -> None:
    """Force a folder's entries to the disk. Windows has no such call; renames are durable there with NTFS's log."""
    if _WINDOWS:
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError:  # some network file systems refuse to sync a folder; the rename itself has happened
        pass
    finally:
        os.close(handle)


def _replace(source: Path, target: Path) -> None:
    deadline = time.monotonic() + _REPLACE_PATIENCE_S
    while True:
        try:
            os.replace(source, target)
            return
        except PermissionError:
            # On Windows a reader or a virus scanner that holds the target open for a moment blocks the rename.
            if not _WINDOWS or time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def _explain(err: OSError, path: Path) -> StudioError | None:
    if is_no_space(err):
        return no_space(err, None, path)
    # Only errors about the target itself are ours to explain; the body may fail on its own input files.
    if isinstance(err, PermissionError) and err.filename is not None and Path(err.filename).parent == path.parent:
        return BadInput(
            f"{path.name} cannot be written in {path.parent}: the folder or file is protected.",
            "Change its permissions, or choose another folder.",
            where=str(path),
        )
    return None


def check_target(path: str | os.PathLike[str], *sources: str | os.PathLike[str]) -> None:
    """Say before the work that a file cannot go to `path`, or should not.

    Raises BadInput: it is a folder, lies below something that is none, or is one of `sources`, which would be lost.
    """
    target = Path(path)
    above = next((one for one in target.absolute().parents if os.path.lexists(one)), target)
    problem = ""
    if target.is_dir():
        problem = "it is a folder"
    elif any(os.path.exists(one) and target.exists() and target.samefile(one) for one in sources):
        problem = "what it is made from would be lost"
    elif not above.is_dir():
        problem = f"{above} is no folder"
    if problem:
        raise BadInput(f"{path} cannot be written: {problem}.", "Name another file.", where=str(path))


@contextlib.contextmanager
def file(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on a clean exit it replaces `path`, on an error it is removed.

    Folders on the way are made. An existing target's permission bits are kept. Raises NoSpace when the
    disk is full, BadInput when the folder is write-protected; other errors of the body pass unchanged.
    """
    target = Path(path)
    temp = _temp_beside(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield temp
        fsync_file(temp)
        if target.exists():
            shutil.copymode(target, temp)
        _replace(temp, target)
        fsync_folder(target.parent)
    except BaseException as err:
        with contextlib.suppress(OSError):
            temp.unlink(missing_ok=True)
        explained = _explain(err, target) if isinstance(err, OSError) else None
        if explained is None and not isinstance(err, (OSError, StudioError)) and is_no_space(err):
            explained = no_space(err, None, target)
        if explained is not None:
            raise explained from err
        raise


def write_bytes(path: str | os.PathLike[str], data: bytes) -> None:
    """Put `data` at `path` atomically. Raises NoSpace, BadInput (write-protected)."""
    with file(path) as temp:
        temp.write_bytes(data)


def write_text(path: str | os.PathLike[str], data: str) -> None:
    """Put UTF-8 text at `path` atomically, line ends as given. Raises NoSpace, BadInput."""
    write_bytes(path, data.encode("utf-8"))


def write_json(path: str | os.PathLike[str], data: object) -> None:
    """Put `data` as readable UTF-8 JSON at `path` atomically. NaN and infinity are refused (ValueError)."""
    write_text(path, json.dumps(data, ensure_ascii=False, indent=2, allow_nan=False) + "\n")


@contextlib.contextmanager
def folder(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield an empty temporary folder beside `path`; on a clean exit, with all files synced, it becomes `path`.

    Raises Conflict if `path` exists (two renames could not be one step), NoSpace when the disk is full.
    """
    target = Path(path)
    temp = _temp_beside(target)
    if os.path.lexists(target):
        raise _taken(target)
    try:
        temp.mkdir(parents=True)
        yield temp
        for root, _, names in os.walk(temp, topdown=False):
            for name in names:
                fsync_file(Path(root, name))
            fsync_folder(Path(root))
        if os.path.lexists(target):
            raise _taken(target)
        _replace(temp, target)
        fsync_folder(target.parent)
    except BaseException as err:
        shutil.rmtree(temp, ignore_errors=True)
        if not isinstance(err, StudioError) and is_no_space(err):
            raise no_space(err, None, target) from err
        raise


def _taken(target: Path) -> Conflict:
    return Conflict(f"{target} exists already.", "Choose another name, or remove it first.", where=str(target))


def sweep(root: str | os.PathLike[str]) -> list[Path]:
    """Remove temporary files and folders below `root` whose writer is no longer alive; return what went."""
    gone: list[Path] = []
    for here, folders, names in os.walk(root):
        for name in [*folders, *names]:
            if not name.startswith(_PREFIX):
                continue
            pid = name[len(_PREFIX) :].split("-", 1)[0]
            if not pid.isascii() or not pid.isdigit() or psutil.pid_exists(int(pid)):
                continue
            path = Path(here, name)
            if name in folders:
                folders.remove(name)
                shutil.rmtree(path, ignore_errors=True)
            else:
                with contextlib.suppress(OSError):
                    path.unlink()
            gone.append(path)
    return gone


@contextlib.contextmanager
def scratch(parent: Path, prefix: str) -> Iterator[Path]:
    """A folder under `parent` that is gone afterwards, whatever happens. Raises NoSpace when the disk is full."""
    parent.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(prefix=prefix, dir=parent, ignore_cleanup_errors=True) as name:
            yield Path(name)
    except OSError as err:
        if is_no_space(err):
            raise no_space(err, None, parent) from err
        raise
