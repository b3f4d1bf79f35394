"""Writing a checkpoint with patience: a disk that is full makes a run wait, not end."""

import contextlib
import logging
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Protocol

from core import atomic
from core.errors import NoSpace
from core.training.runs import Run, RunInfo

log = logging.getLogger(__name__)

RETRY_S = 10.0
"""Between two looks whether there is room again."""
_TICK_S = 0.1


class Stoppable(Protocol):
    """The part of a job's context that a training loop needs."""

    @property
    def cancel_requested(self) -> bool:
        """A stop was asked for."""

    def report(self, fraction: float | None, message: str) -> None:
        """Show progress; never raises."""


def patiently(write: Callable[[], None], run: Run, info: RunInfo, ctx: Stoppable) -> bool:
    """Call `write` until it finds room; False if a stop was asked for while it waited.

    While it waits, run.json's `paused` and the job's message say how much is needed and where, and the log says so
    once. `write` may be called again after it got part of the way.
    """
    since = time.monotonic()
    waited = False
    while True:
        try:
            write()
        except NoSpace as err:
            if not waited:
                log.warning("paused: %s", err.message)
            waited = True
            info.paused = f"{err.message} {err.hint}"
            with contextlib.suppress(NoSpace):
                run.write(info)
            ctx.report(None, f"Paused: {err.message}")
            if _stop_within(RETRY_S, ctx):
                info.paused = None
                note = f"Stopped at step {info.step} while the disk was full: {_saved(info)}."
                info.notes += [note] if note not in info.notes else []
                return False
            continue
        if waited:
            minutes = (time.monotonic() - since) / 60.0
            info.paused = None
            info.notes.append(f"The disk was full at step {info.step}: the run waited for {minutes:.1f} minutes.")
            with contextlib.suppress(NoSpace):
                run.write(info)
        return True


def _saved(info: RunInfo) -> str:
    if info.saved_step is None:
        return "nothing had been saved yet"
    return f"the checkpoint of step {info.saved_step} is the last one"


def _stop_within(seconds: float, ctx: Stoppable) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if ctx.cancel_requested:
            return True
        time.sleep(_TICK_S)
    return ctx.cancel_requested


class Papers:
    """The small files that a checkpoint cannot do without, kept in memory in case the run's folder is deleted."""

    def __init__(self, files: Iterable[Path]) -> None:
        self._held = {path: path.read_bytes() for path in files if path.is_file()}

    def put_back(self) -> bool:
        """Write again what is gone; True if anything was."""
        gone = [path for path in self._held if not path.is_file()]
        for path in gone:
            with contextlib.suppress(NoSpace):
                atomic.write_bytes(path, self._held[path])
        return bool(gone)
