"""A model folder that appears whole and checked, or not at all."""

import shutil
from collections.abc import Callable
from pathlib import Path

from core import atomic


def publish(folder: Path, write: Callable[[Path], None], check: Callable[[Path], None] | None = None) -> Path:
    """Make a folder; one that is there is replaced only when the new one is whole and passes `check`.

    Args:
        folder: where it belongs.
        write: fills the empty folder that it is given.
        check: called with the new folder (under another name still); raises if it is not fit for use.

    Raises:
        NoSpace: the disk is full; what was there stays.
        StudioError: what `check` raised; what was there stays.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    fresh = folder.with_name(folder.name + ".new")
    if fresh.exists():
        shutil.rmtree(fresh)
    with atomic.folder(fresh) as build:
        write(build)
    try:
        if check is not None:
            check(fresh)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise
    if folder.exists():
        old = folder.with_name(folder.name + ".old")
        if old.exists():
            shutil.rmtree(old)
        folder.rename(old)
        fresh.rename(folder)
        shutil.rmtree(old)
    else:
        fresh.rename(folder)
    return folder
