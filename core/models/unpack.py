"""Opening a zip archive that a stranger made: bounded in files, bytes and names, and nothing lands outside."""

import lzma
import shutil
import stat
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from core.errors import BadInput, NoSpace, human_bytes
from core.paths import inside, safe_filename

if TYPE_CHECKING:
    from core.jobs.context import JobContext

MOST_FILES = 20_000
MOST_BYTES = 64 << 30
MOST_RATIO = 30
"""Weights hardly shrink in an archive; text and tables shrink ten times. More than this is a trap."""
FREE_RATIO_BYTES = 64 << 20
"""Archives that hold no more than this may shrink as they like."""
_BLOCK = 1 << 20
_BROKEN = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, NotImplementedError, RuntimeError, EOFError, ValueError)


def unpack(archive: Path, folder: Path, ctx: "JobContext | None" = None) -> list[Path]:
    """Unpack `archive` into `folder` (made here); returns the files, in the archive's order.

    Names are made safe part by part; two that become one get numbers. What an archive says of its sizes is checked
    before a byte is written, and again while writing.

    Raises:
        BadInput: no zip file, a damaged or encrypted one, or one that would unpack to far more than it is.
        NoSpace: it needs more than is free.
        Cancelled: from `ctx`.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            entries = [entry for entry in opened.infolist() if not entry.is_dir()]
            total = _measure(archive, entries)
            folder.mkdir(parents=True, exist_ok=True)
            free = shutil.disk_usage(folder).free
            if total > free:
                raise NoSpace(
                    f"{archive.name} unpacks to {human_bytes(total)}, {human_bytes(free)} are free in {folder}.",
                    f"Free {human_bytes(total - free)}, or unpack it yourself elsewhere and import the folder.",
                )
            done, written = 0, []
            for entry in entries:
                target = _place(folder, entry)
                target.parent.mkdir(parents=True, exist_ok=True)
                left = entry.file_size
                with opened.open(entry) as source, open(target, "xb") as out:
                    while block := source.read(_BLOCK):
                        left -= len(block)
                        done += len(block)
                        if left < 0:
                            raise zipfile.BadZipFile(f"{entry.filename} is longer than the archive says")
                        out.write(block)
                        if ctx is not None:
                            ctx.progress(done / max(total, 1), f"unpacking {archive.name}")
                written.append(target)
            return written
    except _BROKEN as err:
        raise BadInput(
            f"{archive.name} is not a whole zip archive: {str(err)[:200]}.",
            "Download or copy it again; or unpack it yourself and import the folder.",
            where=str(archive),
        ) from err


def _measure(archive: Path, entries: list[zipfile.ZipInfo]) -> int:
    """The bytes inside. Raises BadInput for too many, for links and for encrypted files."""
    total = sum(entry.file_size for entry in entries)
    size = archive.stat().st_size
    problem = ""
    if len(entries) > MOST_FILES:
        problem = f"it holds {len(entries)} files"
    elif total > MOST_BYTES or (total > FREE_RATIO_BYTES and total > MOST_RATIO * size):
        problem = f"its {human_bytes(size)} would unpack to {human_bytes(total)}"
    elif any(entry.flag_bits & 1 for entry in entries):
        problem = "it is encrypted"
    elif any(stat.S_ISLNK(entry.external_attr >> 16) for entry in entries):
        problem = "it holds links"
    if problem:
        raise BadInput(
            f"{archive.name} was refused: {problem}.",
            "Unpack it yourself, look at what is in it, and import the folder.",
            where=str(archive),
        )
    return total


def _place(folder: Path, entry: zipfile.ZipInfo) -> Path:
    parts = [part for part in PurePosixPath(entry.filename.replace("\\", "/")).parts if part not in ("/", ".", "..")]
    target = inside(folder, folder.joinpath(*(safe_filename(part) for part in parts or ["file"])))
    number = 2
    while target.exists():
        target = target.with_name(f"{target.stem} ({number}){target.suffix}")
        number += 1
    return target
