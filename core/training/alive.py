"""Who trains a run, and whether that process is still there: on this machine by process, on another by its heartbeat.

A process is known by its number, its start (seconds since boot where the system has them, so that a clock that is set
does not matter) and the boot in which it lives (so that a machine that was restarted never takes a stranger for it). A
run on another machine that shares the folder is believed while it touches its heartbeat file.
"""

import contextlib
import os
import socket
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from core.errors import Conflict

HEARTBEAT_FILE, LOCK_FILE = "heartbeat", "run.lock"
BEAT_S = 20.0
SILENT_S = 300.0
"""A run on another machine whose heartbeat is older is taken for dead. Generous: clocks of machines differ."""
_UNIX_S = 1e8
"""Starts above this are unix seconds, as runs of the first version noted them; uptimes never get there."""


def host() -> str:
    """The name of this machine."""
    return socket.gethostname()


def boot_id() -> str:
    """What tells one boot of this machine from the next; empty where the system does not say (not Linux)."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def own_process() -> tuple[int, float]:
    """(pid, start) of this process, for run.json."""
    from core.jobs import processes

    return processes.identity()


def process_alive(pid: int | None, started: float | None) -> bool:
    """Whether the process with this number and start (of `own_process`, or unix seconds) is still there."""
    import psutil

    from core.jobs import processes

    if pid is None:
        return False
    now = processes.started_at(pid)
    if now is None or started is None:
        return now is not None
    if abs(now - started) < 2.0:
        return True
    if started < _UNIX_S:
        return False
    try:
        return abs(psutil.Process(pid).create_time() - started) < 2.0
    except psutil.Error:
        return False


def heartbeat_age_s(folder: Path) -> float | None:
    """Seconds since the run's process last said that it lives; None if it never did. Never negative."""
    try:
        return max(0.0, time.time() - (folder / HEARTBEAT_FILE).stat().st_mtime)
    except OSError:
        return None


class Heartbeat:
    """Touches the run's heartbeat file now and then, from a thread, until left."""

    def __init__(self, folder: Path, every_s: float = BEAT_S) -> None:
        self._file = folder / HEARTBEAT_FILE
        self._every_s = every_s
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)

    def __enter__(self) -> Self:
        self.touch()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.set()
        self._thread.join()

    def _beat(self) -> None:
        while not self._end.wait(self._every_s):
            self.touch()

    def touch(self) -> None:
        """One beat."""
        with contextlib.suppress(OSError):  # a folder that was deleted, a disk that is full: the next beat tries again
            self._file.touch()


class RunLock:
    """Held by the one process that trains a run; the system lets go of it when that process dies."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / LOCK_FILE
        self._handle: int | None = None

    def __enter__(self) -> Self:
        """Raises Conflict if another process holds it."""
        try:
            import fcntl
        except ImportError:  # Windows: run.json's process is what tells
            return self
        try:
            handle = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError:
            return self
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as err:
            os.close(handle)
            raise Conflict(
                f"The run '{self._path.parent.name}' is going on already in another process.", "Stop it first."
            ) from err
        except OSError:  # a disk that knows no locks
            os.close(handle)
            return self
        self._handle = handle
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None
