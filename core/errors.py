"""The studio's one family of errors that a person can act on.

Every door (page, HTTP, command line) shows `message` and `hint`; tracebacks go to the log only.
A message says what is wrong and where; a hint says what to do next.
"""

import errno
import os
import shutil
from pathlib import Path
from typing import Any, ClassVar, Self

# EFBIG is what a per-process file size limit answers, EDQUOT what a user quota answers: to the
# person both are "no room here". EDQUOT does not exist on Windows.
_NO_SPACE_ERRNOS = frozenset({errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)})
_NO_SPACE_TEXTS = ("no space left on device", "os error 28", "disk quota exceeded", "database or disk is full")


_BY_CODE: dict[str, type["StudioError"]] = {}


class StudioError(Exception):
    """What is wrong (`message`), what to do (`hint`) and in which file or field (`where`).

    A class with a `code` of its own is what `from_dict` makes of that code, wherever the class is defined.
    """

    code: ClassVar[str] = "error"

    def __init_subclass__(cls, **more: Any) -> None:
        super().__init_subclass__(**more)
        mine = vars(cls)
        # One that is made of more than three words says itself how it is made again.
        if "code" in mine and ("__init__" not in mine or "of" in mine):
            _BY_CODE[cls.code] = cls

    def __init__(self, message: str, hint: str = "", *, where: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.where = where

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()

    def to_dict(self) -> dict[str, Any]:
        """The JSON form that jobs, the HTTP API and `--json` show. The four words that every error has are text."""
        return {"code": self.code, "message": self.message, "hint": self.hint, "where": self.where}

    @classmethod
    def of(cls, data: dict[str, Any]) -> Self:
        """This error with what `to_dict` said of it."""
        return cls(data.get("message", ""), data.get("hint", ""), where=data.get("where", ""))


class BadInput(StudioError):
    """A file, a name or a value from the user cannot be used as it is."""

    code = "bad_input"


class NotFound(StudioError):
    """The voice, clip, run, job or model that was named is not there."""

    code = "not_found"


class Conflict(StudioError):
    """What was asked contradicts what exists or what is going on."""

    code = "conflict"


class NoSpace(StudioError):
    """The disk (or quota) has no room for what was to be written."""

    code = "no_space"


class ModelFileError(StudioError):
    """A weights file is damaged, unsafe, or does not fit the model."""

    code = "model_file"


class Unavailable(StudioError):
    """Something that is needed is not on this machine: a download, a package, a device."""

    code = "unavailable"


class InUse(Unavailable):
    """Another process holds it at this moment; in the next it may be free."""

    code = "in_use"


class Cancelled(StudioError):
    """The user asked to stop. Not a failure."""

    code = "cancelled"

    def __init__(self, message: str = "Cancelled.", hint: str = "", *, where: str = "") -> None:
        super().__init__(message, hint, where=where)

    @classmethod
    def of(cls, data: dict[str, Any]) -> Self:
        """Even one without a word."""
        return cls(data.get("message", ""), data.get("hint", ""), where=data.get("where", ""))


def from_dict(data: dict[str, Any]) -> StudioError:
    """The error that `StudioError.to_dict` described; a code that no class here has becomes a plain StudioError."""
    return _BY_CODE.get(data.get("code", ""), StudioError).of(data)


def is_no_space(err: BaseException) -> bool:
    """True if `err` means a full disk, quota or file size limit.

    Libraries in C or Rust lose the errno and keep only the system's words, so those count too.
    """
    if isinstance(err, OSError) and err.errno is not None:
        return err.errno in _NO_SPACE_ERRNOS
    text = str(err).lower()
    return any(words in text for words in _NO_SPACE_TEXTS)


def human_bytes(n_bytes: float) -> str:
    """A size for people: `1536` -> `1.5 KB` (powers of 1024)."""
    size = float(n_bytes)
    for unit in ("B", "KB", "MB", "GB"):
        if abs(size) < 1024.0:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024.0
    return f"{size:.1f} TB"


def no_space(err: BaseException | None, need_bytes: int | None, path: str | os.PathLike[str]) -> NoSpace:
    """A NoSpace that says how much is free where `path` lies and, if known, how much is needed.

    `err` is the cause (kept as `__cause__`); pass None when a check beforehand found too little.
    """
    folder = Path(path)
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    try:
        free = human_bytes(shutil.disk_usage(folder).free)
    except OSError:
        free = "an unknown amount"
    need = f"; {human_bytes(need_bytes)} are needed" if need_bytes is not None else ""
    problem = NoSpace(
        f"There is no room on the disk to write {Path(path).name}: {free} free{need}.",
        f"Free some space on the disk that holds {folder}, or choose another workspace, and try again. "
        "What was there before is unchanged.",
        where=str(path),
    )
    problem.__cause__ = err
    return problem
