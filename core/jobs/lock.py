"""One dispatcher per workspace: a file locked by the operating system, which lets go when its process dies."""

import json
import logging
import os
import sys
import time
from pathlib import Path
from typing import IO, Any

from core.errors import BadInput, Conflict, is_no_space, no_space

_log = logging.getLogger(__name__)
# Windows locks byte ranges and forbids others to read them: lock one far behind the text.
_LOCK_BYTE = 1 << 30


class WorkspaceLock:
    """Holds `path` locked while this studio dispatches jobs; the file tells others who does."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._handle: IO[bytes] | None = None

    @property
    def held(self) -> bool:
        """True while this object holds the lock."""
        return self._handle is not None

    def acquire(self, url: str = "") -> None:
        """Take the lock; with it in hand, only change the URL.

        Raises Conflict that names the studio which has it (its URL, its process), NoSpace, BadInput (the folder
        cannot be written).
        """
        if self._handle is not None:
            self._write(url)
            return
        handle = self._open()
        try:
            _lock(handle)
        except BlockingIOError as err:
            handle.close()
            other = self.holder()
            place = other.get("url") or "its own window"
            raise Conflict(
                f"Another studio is already open on this workspace: {place} (process {other.get('pid', 'unknown')}).",
                f"Use that one, close it, or start this one with a workspace other than {self.path.parent}.",
                where=str(self.path),
            ) from err
        except OSError as err:
            # Some network and FUSE disks know no locks; one user's studio there works without.
            _log.warning("%s cannot be locked (%s); do not open two studios on it", self.path, err)
        self._handle = handle
        self._write(url)

    def _open(self) -> IO[bytes]:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            return open(self.path, "a+b")
        except OSError as err:
            if is_no_space(err):
                raise no_space(err, None, self.path) from err
            raise BadInput(
                f"The folder {self.path.parent} cannot be used: {err.strerror or err}.",
                "Choose another one, or change its permissions.",
                where=str(self.path),
            ) from err

    def _write(self, url: str) -> None:
        assert self._handle is not None
        text = json.dumps({"pid": os.getpid(), "url": url, "since": time.time()})
        try:
            self._handle.seek(0)
            self._handle.truncate()
            self._handle.write(text.encode())
            self._handle.flush()
        except OSError as err:
            # The lock holds without its text; on a full disk a person must still be able to open the studio.
            _log.warning("%s cannot be written (%s)", self.path, err)

    def holder(self) -> dict[str, Any]:
        """What the studio that has (or had) the lock wrote: pid, url, since. Empty if nothing readable."""
        try:
            data = json.loads(self.path.read_bytes() or b"{}")
        except (OSError, ValueError):
            return {}
        return data if isinstance(data, dict) else {}

    def release(self) -> None:
        """Let go. The file stays, since removing it would race with the next studio."""
        if self._handle is not None:
            handle, self._handle = self._handle, None
            handle.close()


def _lock(handle: IO[bytes]) -> None:
    """Lock without waiting. Raises BlockingIOError if another has it, other OSError if the disk knows no locks."""
    if sys.platform == "win32":
        import msvcrt

        handle.seek(_LOCK_BYTE)
        try:
            msvcrt.locking(handle.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError as err:
            raise BlockingIOError(str(err)) from err
    else:
        import fcntl

        fcntl.flock(handle.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
