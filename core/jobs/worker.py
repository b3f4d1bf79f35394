"""The worker process: runs one job's handler and notes its end in the database.

`python -m core.jobs.worker --db FILE --job N --target MODULE:FUNCTION --settings JSON --log FILE`, started
by `core.jobs.queue` in a session of its own. The target comes from the parent's registry, never from the
database.
"""

import argparse
import faulthandler
import json
import logging
import math
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from core.errors import Cancelled, StudioError, Unavailable
from core.jobs import handlers, processes
from core.jobs.context import WorkerContext
from core.jobs.failures import describe
from core.jobs.model import State
from core.jobs.store import JobStore
from core.settings import Settings

EXIT_OK, EXIT_FAILED, EXIT_NOT_MINE, EXIT_UNRECORDED = 0, 1, 64, 75
_PATIENCE_S = 60.0
_log = logging.getLogger("core.jobs.worker")


def plain(value: Any) -> Any:
    """`value` as strict JSON: tuples become lists, paths text, NumPy scalars numbers, NaN and infinities None."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "item") and not isinstance(value, (str, bytes)):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def outcome(result: object, cancel_requested: bool) -> tuple[State, dict[str, Any]]:
    """The state that a handler's return value means: stopped on request is "cancelled", else "completed"."""
    if not isinstance(result, dict):
        raise TypeError(f"a handler returned {type(result).__name__}, not a dict")
    stopped = bool(result.get("stopped")) and cancel_requested
    return ("cancelled" if stopped else "completed"), plain(result)


def _record(finish: Callable[[], bool]) -> bool:
    """Note the end of the job, trying again while the disk is full or the database locked. False if it never could."""
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        try:
            finish()
            return True
        except StudioError as err:
            _log.warning("the job's end is not stored yet: %s", err.message)
            if time.monotonic() > deadline:
                return False
            time.sleep(1.0)


def run(store: JobStore, job_id: int, target: str, settings: Settings, log_path: Path) -> int:
    """Run one job to its end; returns the process's exit code. SystemExit passes."""
    pid, started = processes.identity()
    # On Windows the python.exe of a virtual environment starts the real one and waits: the parent, which the
    # studio took for the worker, is that starter.
    if not store.attach(job_id, pid, started, instead_of=os.getppid()):
        _log.warning("job %d is not waiting for this process", job_id)
        return EXIT_NOT_MINE
    job = store.get(job_id)
    context = WorkerContext(settings, store, job_id, log_path)
    # Windows has no SIGTERM between processes; there the flag in the database does it alone.
    signal.signal(signal.SIGTERM, lambda *_: context.request_cancel())
    _log.info("job %d (%s) starts, process %d", job_id, job.kind, pid)
    error: StudioError | None = None
    result: dict[str, Any] | None = None
    state: State
    try:
        state, result = outcome(handlers.resolve(target)(job.params, context), context.cancel_requested)
        json.dumps(result, allow_nan=False)  # a handler's mistake must show here, not in the database
    except Cancelled as err:
        state, error = "cancelled", err
    # The process boundary: whatever a handler raises ends in the log, and as one clean sentence in the job.
    except Exception as err:  # noqa: BLE001
        _log.exception("job %d failed", job_id)
        state, error, result = "failed", describe(err, log_path, settings.workspace), None
    _log.info("job %d: %s", job_id, state)
    message = {"completed": None, "cancelled": "Stopped." if result else "Cancelled."}.get(state, "")
    if error is not None and state == "failed":
        message = error.message
    if not _record(lambda: store.finish(job_id, state, result=result, error=error, message=message)):
        return EXIT_UNRECORDED
    return EXIT_OK if state != "failed" else EXIT_FAILED


def main(arguments: list[str] | None = None) -> int:
    """Entry of the process."""
    parser = argparse.ArgumentParser(prog="core.jobs.worker", description="runs one job; started by the studio")
    parser.add_argument("--db", type=Path, required=True)
    parser.add_argument("--job", type=int, required=True)
    parser.add_argument("--target", required=True)
    parser.add_argument("--settings", required=True)
    parser.add_argument("--log", type=Path, required=True)
    given = parser.parse_args(arguments)
    faulthandler.enable()
    settings = Settings.model_validate_json(given.settings)
    logging.basicConfig(stream=sys.stderr, format="%(asctime)s %(levelname)-7s %(name)s: %(message)s")
    for ours in ("core", "__main__"):
        logging.getLogger(ours).setLevel(settings.log_level.upper())
    try:
        store = JobStore(given.db, busy_timeout_s=2.0)  # a report of progress must not hold up the work
    except Unavailable as err:
        _log.error("%s", err.message)
        return EXIT_UNRECORDED
    try:
        return run(store, given.job, given.target, settings, given.log)
    finally:
        store.close()
        # A reader of the log may hang up, a disk may be full: neither changes what was done.
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except OSError:
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


if __name__ == "__main__":
    sys.exit(main())
