"""Names from people become paths that are safe on Linux, macOS and Windows, with their Unicode kept."""

import os
import re
import unicodedata
from pathlib import Path

from core.errors import BadInput

REPO_ROOT = Path(__file__).resolve().parent.parent
"""The folder that holds app.py."""

MAX_NAME_CHARS = 80
MAX_NAME_BYTES = 200  # UTF-8; file systems allow 255, the rest is room for suffixes such as " (2).flac"
_MAX_FILE_BYTES = 255

_FORBIDDEN = frozenset('/\\:*?"<>|')
# Marks that reorder the text shown, so that a name could pretend to be another.
_BIDI = frozenset("\u200e\u200f\u061c\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_JOINERS = "\u200c\u200d\ufe0f"  # meaningful inside emoji and some scripts, meaningless at an end
_RESERVED = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³])\s*(\..*)?", re.IGNORECASE | re.DOTALL)


def _clean(text: str) -> str:
    kept: list[str] = []
    for char in unicodedata.normalize("NFC", text):
        if char.isspace() or unicodedata.category(char) in ("Zs", "Zl", "Zp"):
            kept.append(" ")
        elif unicodedata.category(char) in ("Cc", "Cs") or char in _BIDI or char == "\ufeff":
            continue
        else:
            kept.append("_" if char in _FORBIDDEN else char)
    # Dropping a character can bring a letter and its accent together.
    return " ".join(unicodedata.normalize("NFC", "".join(kept)).split())


def _trim(name: str) -> str:
    previous = None
    while previous != name:
        previous = name
        name = name.strip(" ." + _JOINERS)
    return name


def _cut(name: str, max_chars: int, max_bytes: int) -> str:
    name = name[:max_chars]
    while len(name.encode("utf-8")) > max_bytes:
        name = name[:-1]
    return name


def safe_name(text: str, fallback: str = "voice") -> str:
    """One path component made of what the user typed.

    Unicode is kept (NFC). Separators and characters that Windows forbids become `_`; control and
    text-direction characters go; dots and spaces at the ends go, so neither `..` nor a hidden file can
    result; a reserved Windows device name gets a leading `_`. At most 80 characters and 200 UTF-8
    bytes. What leaves nothing over becomes `fallback`. `safe_name(safe_name(x)) == safe_name(x)`.
    """
    name = _trim(_cut(_trim(_clean(text)), MAX_NAME_CHARS, MAX_NAME_BYTES))
    if not name:
        return fallback
    if _RESERVED.fullmatch(name):
        name = _trim(_cut("_" + name, MAX_NAME_CHARS, MAX_NAME_BYTES))
    return name


def safe_filename(text: str, fallback: str = "file") -> str:
    """Like `safe_name`, for a file: when it must be shortened the extension (up to 10 characters) stays."""
    name = _trim(_clean(text))
    stem, suffix = os.path.splitext(name)
    if not stem or len(suffix) > 10 or len(suffix.encode("utf-8")) > 40:
        return safe_name(name, fallback)
    short = _trim(_cut(stem, MAX_NAME_CHARS - len(suffix), MAX_NAME_BYTES - len(suffix.encode("utf-8"))))
    return safe_name((short or fallback) + suffix, fallback)


def inside(root: str | os.PathLike[str], path: str | os.PathLike[str]) -> Path:
    """`path` (relative to `root`, or absolute) as a resolved path that lies in `root`.

    Symbolic links are followed before the check. Raises BadInput if the result leaves `root`.
    """
    try:
        base = Path(root).resolve()
        full = (base / path).resolve()
    except (ValueError, OSError, RuntimeError) as err:  # a NUL byte, a link that points to itself
        raise BadInput(f"{str(path)!r} is not a usable path.", "Choose another file.", where=str(path)) from err
    if not full.is_relative_to(base):
        raise BadInput(
            f"{str(path)!r} lies outside {base}.",
            "Choose a file inside that folder, without links out.",
            where=str(path),
        )
    return full


def unique_path(path: str | os.PathLike[str]) -> Path:
    """`path` if nothing is there, else the first free of `name (2).ext`, `name (3).ext`, ...

    The stem is shortened where the number would make the name longer than a file system allows.
    """
    wanted = Path(path)
    candidate, number = wanted, 2
    while os.path.lexists(candidate):
        tail = f" ({number}){wanted.suffix}"
        stem = _cut(wanted.stem, _MAX_FILE_BYTES, _MAX_FILE_BYTES - len(tail.encode("utf-8", "surrogateescape")))
        candidate = wanted.with_name(stem + tail)
        number += 1
    return candidate
