"""The folder that a dataset lies in: what is there already, and which numbers are free."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core.errors import Conflict

MANIFEST = "train.jsonl"
BROKEN = "train.broken.jsonl"
_MOST_DIGITS = 12  # a longer name is a date or a key, not a number to go on from


@dataclass
class Existing:
    """A dataset that is there: its good `lines` as they are, `broken` ones, and the highest number that is taken."""

    lines: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    last_number: int = 0

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The good lines, read."""
        return [json.loads(line) for line in self.lines]


def existing(folder: Path, *, append: bool) -> Existing:
    """Look at a folder before clips go there.

    A number counts as taken if a line of the manifest or any file is called so. A line that is no JSON object with an
    `audio` counts as broken; BOM, CRLF, empty lines and a missing last line end are no damage.
    Raises Conflict where a dataset is there and nobody asked to append.
    """
    found = Existing()
    manifest = folder / MANIFEST
    if manifest.is_file():
        data = manifest.read_bytes().removeprefix(b"\xef\xbb\xbf")
        for raw in data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n"):
            line = raw.decode("utf-8", "surrogateescape").strip()
            if line:
                (found.lines if _good(line) else found.broken).append(line)
    names = [Path(str(row["audio"]).replace("\\", "/")).stem for row in found.rows]
    if folder.is_dir():
        names += [path.stem for path in folder.iterdir() if path.suffix.lower() == ".wav"]
    numbers = [int(name) for name in names if name.isascii() and name.isdigit() and len(name) <= _MOST_DIGITS]
    found.last_number = max(numbers, default=0)
    if not append and (manifest.exists() or numbers):
        raise Conflict(
            f"There is a dataset in {folder} already.",
            "Append to it (--append), or choose another folder.",
            where=str(folder),
        )
    return found


def _good(line: str) -> bool:
    try:
        row = json.loads(line)
        line.encode("utf-8")
    except (ValueError, RecursionError):
        return False
    return isinstance(row, dict) and isinstance(row.get("audio"), str)


def broken_warning(broken: list[str]) -> str:
    """What to tell about broken lines; empty if there are none."""
    return f"{len(broken)} broken lines of {MANIFEST} were put aside in {BROKEN}." if broken else ""


def with_broken(folder: Path, broken: list[str]) -> bytes:
    """What the file beside the manifest is to hold, so that no broken line is lost; empty if there are none."""
    if not broken:
        return b""
    path = folder / BROKEN
    before = path.read_bytes() if path.is_file() else b""
    return before + b"".join(line.encode("utf-8", "surrogateescape") + b"\n" for line in broken)
