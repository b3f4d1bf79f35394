"""One set of weights that the studio can use, and whether its files are in place. Light."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal


@dataclass(frozen=True)
class CatalogueEntry:
    """One set of weights.

    Attributes:
        name: the name used in messages and on the command line.
        purpose: what it does for the user, in words.
        size_bytes: about how much disk and download it takes; 0 if it comes with a package.
        licence: of the weights.
        folder: where it lies below `Settings.pretrain_dir`; empty if it comes with a package.
        files: all of them must be there; a tuple in it means any one of these.
        origin: where it comes from, in words.
        by_hand: how to put it in place without a download by the studio.
        ships: True if it is part of the repository or of its packages.
        checksums: SHA-256 by original file, as published; a file that is not in it has none that is known.
    """

    name: str
    purpose: str
    size_bytes: int
    licence: str
    folder: str
    files: tuple[str | tuple[str, ...], ...]
    origin: str
    by_hand: str
    ships: bool = False
    checksums: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Presence:
    """Whether an entry can be used on this machine; `missing` names the files that are not there."""

    entry: CatalogueEntry
    state: Literal["present", "absent", "partial"]
    path: Path | None
    missing: tuple[str, ...] = ()


def locate_in(folder: Path, one: CatalogueEntry) -> tuple[str, ...]:
    """The files of an entry that `folder` lacks; empty files do not count as there."""
    missing: list[str] = []
    for wanted in one.files:
        choices = (wanted,) if isinstance(wanted, str) else wanted
        if not any(_is_whole(folder / choice) for choice in choices):
            missing.append(" or ".join(choices))
    return tuple(missing)


def _is_whole(path: Path) -> bool:
    try:
        return path.is_file() and path.stat().st_size > 0
    except OSError:
        return False
