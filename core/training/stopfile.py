"""A stop that reaches a run wherever it trains: a file in its folder, which the run looks for.

For runs without a job of this studio: on a cluster, started by torchrun or on another machine of a shared workspace.
"""

import contextlib
import time
from pathlib import Path
from typing import TYPE_CHECKING

from core.jobs.context import JobContext

if TYPE_CHECKING:
    from core.training.runs import Run

STOP_FILE = "stop"
_LOOK_EVERY_S = 1.0


def ask(run: "Run") -> None:
    """Ask a run to save and stop. It is seen within a second or so after the step that it is at."""
    (run.path / STOP_FILE).touch()


def forget(run: "Run") -> None:
    """Take the wish back: a run begins anew."""
    with contextlib.suppress(OSError):
        (run.path / STOP_FILE).unlink()


class FileContext(JobContext):
    """A job's context that hears of the file too."""

    def __init__(self, inner: JobContext, folder: Path) -> None:
        self.settings, self.job_id, self.log_path = inner.settings, inner.job_id, inner.log_path
        self._inner, self._file = inner, folder / STOP_FILE
        self._looked_s = -_LOOK_EVERY_S
        self._seen = False

    @property
    def cancel_requested(self) -> bool:
        now = time.monotonic()
        if not self._seen and now - self._looked_s >= _LOOK_EVERY_S:
            self._looked_s, self._seen = now, self._file.exists()
        return self._seen or self._inner.cancel_requested

    def report(self, fraction: float | None, message: str) -> None:
        self._inner.report(fraction, message)
