"""Keep a copy of a workspace elsewhere, such as on a mounted Drive where SQLite and renames are not safe.

    python -m tools.mirror WORKSPACE COPY [--every S]    copy what changed, once or again every S seconds
    python -m tools.mirror COPY WORKSPACE                bring it back

Files are compared by size and time and copied beside, then renamed; the database is copied through SQLite, so that a
running studio does no harm. What can be made again (cache) is left out. Nothing is ever deleted on the other side.
"""

import argparse
import os
import shutil
import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

LEFT_OUT = {"cache", "studio_logs"}
_DATABASE_PARTS = ("-wal", "-shm", "-journal")
_TIME_SLACK_S = 2.0  # mounted disks round times


def files(source: Path) -> Iterator[Path]:
    """Relative paths of all that is worth keeping."""
    for folder, names, here in os.walk(source):
        inside = Path(folder).relative_to(source)
        if inside == Path():
            names[:] = [name for name in names if name not in LEFT_OUT]
        for name in here:
            if not name.endswith((*_DATABASE_PARTS, ".lock", ".tmp")):
                yield inside / name


def changed(source: Path, target: Path) -> bool:
    """True if `target` is not the same file by size and time."""
    try:
        there = target.stat()
    except OSError:
        return True
    here = source.stat()
    return here.st_size != there.st_size or abs(here.st_mtime - there.st_mtime) > _TIME_SLACK_S


def copy(source: Path, target: Path) -> None:
    """Copy one file so that `target` is never half there."""
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = target.with_name(f".{target.name}.mirror.tmp")
    try:
        if source.suffix == ".sqlite3":
            with closing(sqlite3.connect(source)) as old, closing(sqlite3.connect(beside)) as new:
                old.backup(new)
        else:
            shutil.copy2(source, beside)
        os.replace(beside, target)
    finally:
        beside.unlink(missing_ok=True)


def mirror(source: Path, target: Path) -> int:
    """Copy what changed. Returns how many files; one that vanished meanwhile is the next round's."""
    n_copied = 0
    for inside in list(files(source)):
        try:
            # A database's own file may stay as it is while its log grows.
            if inside.suffix == ".sqlite3" or changed(source / inside, target / inside):
                copy(source / inside, target / inside)
                n_copied += 1
        except FileNotFoundError:
            continue
    return n_copied


def main() -> int:
    """Run the command line. Returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--every", type=float, default=0.0, metavar="S", help="again every S seconds, until ended")
    options = parser.parse_args()
    while True:
        if options.source.is_dir():
            try:
                n_copied = mirror(options.source, options.target)
                print(f"{n_copied} files copied to {options.target}", file=sys.stderr, flush=True)
            except OSError as err:
                print(f"copying stopped: {err}", file=sys.stderr, flush=True)
                if not options.every:
                    return 1
        elif not options.every:
            print(f"nothing at {options.source}", file=sys.stderr)
        if not options.every:
            return 0
        time.sleep(options.every)


if __name__ == "__main__":
    raise SystemExit(main())
