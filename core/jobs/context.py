"""What a handler sees of its job: settings, progress, and whether it should stop."""

import logging
import math
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path

from core.errors import Cancelled, StudioError
from core.jobs.eta import Eta
from core.jobs.store import JobStore
from core.settings import Settings

_WRITE_EVERY_S = 0.5
_ASK_EVERY_S = 0.4
_log = logging.getLogger(__name__)


class JobContext(ABC):
    """Given to every handler. Methods may be called from several threads.

    Attributes:
        settings: the studio's settings.
        job_id: number of the job; None when it runs in the foreground.
        log_path: the job's log file; None in the foreground.
    """

    settings: Settings
    job_id: int | None
    log_path: Path | None

    @property
    @abstractmethod
    def cancel_requested(self) -> bool:
        """True once the user asked to stop. Cheap: may be read in every step of a loop."""

    @abstractmethod
    def report(self, fraction: float | None, message: str) -> None:
        """Show progress without ever raising; `fraction` None keeps the last. For use while saving after a cancel."""

    def check(self) -> None:
        """Raise Cancelled if the user asked to stop."""
        if self.cancel_requested:
            raise Cancelled()

    def progress(self, fraction: float, message: str = "") -> None:
        """Show that `fraction` (0..1) is done, then raise Cancelled if the user asked to stop.

        Rate limited: may be called as often as convenient. An empty message keeps the last one.
        """
        self.report(fraction, message)
        self.check()

    def sub(self, start: float, end: float) -> "JobContext":
        """A context whose 0..1 is `start`..`end` of this one's progress, for a part of the work."""
        return _SubContext(self, start, end)


class _SubContext(JobContext):
    def __init__(self, parent: JobContext, start: float, end: float) -> None:
        self.settings, self.job_id, self.log_path = parent.settings, parent.job_id, parent.log_path
        self._parent, self._start, self._span = parent, start, end - start

    @property
    def cancel_requested(self) -> bool:
        return self._parent.cancel_requested

    def report(self, fraction: float | None, message: str) -> None:
        inner = None if fraction is None else self._start + self._span * _bounded(fraction)
        self._parent.report(inner, message)


def _bounded(fraction: float) -> float:
    return min(1.0, max(0.0, fraction)) if math.isfinite(fraction) else 0.0


class WorkerContext(JobContext):
    """The context in a worker process: progress goes to the database, cancel comes from it or from SIGTERM.

    A database that is locked or a disk that is full costs a progress report, never the work.
    """

    def __init__(self, settings: Settings, store: JobStore, job_id: int, log_path: Path | None) -> None:
        self.settings, self.job_id, self.log_path = settings, job_id, log_path
        self._store = store
        self._number = job_id
        self._cancelled = False  # a plain flag: a signal handler that takes a lock could wait for itself
        self._lock = threading.Lock()
        self._eta = Eta()
        self._fraction, self._message = 0.0, ""
        self._written_s = self._asked_s = -math.inf

    def request_cancel(self) -> None:
        """Ask this process's handler to stop. Safe in a signal handler."""
        self._cancelled = True

    @property
    def cancel_requested(self) -> bool:
        if not self._cancelled and self._lock.acquire(blocking=False):
            try:
                now = time.monotonic()
                if now - self._asked_s >= _ASK_EVERY_S:
                    self._asked_s = now
                    self._take(self._store.cancel_requested, self._number)
            finally:
                self._lock.release()
        return self._cancelled

    def report(self, fraction: float | None, message: str) -> None:
        with self._lock:
            now = time.monotonic()
            eta_s = None
            if fraction is not None:
                self._fraction = _bounded(fraction)
                eta_s = self._eta.update(now, self._fraction)
            news = bool(message) and message != self._message
            self._message = message or self._message
            # A new message is worth a write sooner than a number that moved.
            if now - self._written_s < _WRITE_EVERY_S / (4 if news else 1) and self._fraction < 1.0:
                return
            self._written_s = self._asked_s = now
            self._take(self._store.progress, self._number, self._fraction, self._message, eta_s)

    def _take(self, ask: Callable[..., bool], *values: object) -> None:
        try:
            if ask(*values):
                self._cancelled = True
        except StudioError as err:
            _log.warning("progress of job %s not stored: %s", self.job_id, err.message)


class ForegroundContext(JobContext):
    """The context of a job in this very process (the command line, tests).

    `on_progress(fraction, message)` is called at most about ten times a second and at the end. What it
    raises passes through the handler.
    """

    def __init__(self, settings: Settings, on_progress: Callable[[float, str], None] | None = None) -> None:
        self.settings, self.job_id, self.log_path = settings, None, None
        self._on_progress = on_progress
        self._cancelled = False  # a plain flag: a signal handler that takes a lock could wait for itself
        self._lock = threading.Lock()
        self._fraction, self._message, self._shown_s = 0.0, "", -math.inf

    def request_cancel(self) -> None:
        """Ask the handler to stop. Safe in a signal handler and from other threads."""
        self._cancelled = True

    @property
    def cancel_requested(self) -> bool:
        return self._cancelled

    def report(self, fraction: float | None, message: str) -> None:
        with self._lock:
            now = time.monotonic()
            news = bool(message) and message != self._message
            self._message = message or self._message
            if fraction is not None:
                self._fraction = _bounded(fraction)
            if self._on_progress is None or (not news and self._fraction < 1.0 and now - self._shown_s < 0.1):
                return
            self._shown_s = now
            shown = self._fraction, self._message
        self._on_progress(*shown)
