"""Dispatches jobs: one worker process per job, one job per lane, and the truth about how each one ended."""

import contextlib
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core import device
from core.errors import Cancelled, Conflict, StudioError, is_no_space, no_space
from core.jobs import processes
from core.jobs.failures import JobCrashed, crashed, describe, disk_full_result
from core.jobs.handlers import HANDLERS, Handler, find
from core.jobs.lock import WorkspaceLock
from core.jobs.model import FINAL, Job
from core.jobs.store import JobStore
from core.jobs.worker import EXIT_UNRECORDED
from core.paths import REPO_ROOT
from core.settings import Settings

_log = logging.getLogger(__name__)
_BUSY_TICK_S = 0.2
_IDLE_TICK_S = 1.0  # another process on this workspace (the command line) may queue a job


@dataclass
class _Watched:
    """A job whose worker may live: its process if this studio started it, and since when that should be gone."""

    lane: str
    process: "subprocess.Popen[bytes] | None"
    overdue_since_s: float | None = None


class JobQueue:
    """The queue of one workspace.

    `submit`, `cancel` and `retry` work in any process; `start` makes this one the dispatcher, of which a
    workspace has one. Workers live in sessions of their own and go on when the studio closes.
    """

    def __init__(self, store: JobStore, settings: Settings, handlers: Mapping[str, Handler] | None = None) -> None:
        self.store = store
        self.settings = settings
        self.handlers: Mapping[str, Handler] = HANDLERS if handlers is None else handlers
        self.lock = WorkspaceLock(settings.workspace / "studio.lock")
        self._watched: dict[int, _Watched] = {}
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    # -- asked from any thread or process

    def submit(
        self, kind: str, params: dict[str, Any], voice: str | None = None, *, retry_of: int | None = None
    ) -> Job:
        """Queue a job. Raises BadInput (unknown kind, params not JSON), NoSpace."""
        handler = find(self.handlers, kind)
        job = self.store.add(kind, params, lane=handler.lane, voice=voice, retry_of=retry_of)
        self._wake.set()
        return job

    def cancel(self, job_id: int) -> Job:
        """Ask a job to stop: a queued one is cancelled at once, a finished one stays as it is.

        A running one gets the flag and SIGTERM; the dispatcher ends its processes after the handler's
        grace. Raises NotFound.
        """
        job = self.store.request_cancel(job_id)
        if job.state == "running" and os.name != "nt" and processes.is_alive(job.pid, job.pid_started):
            assert job.pid is not None
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(job.pid, 15)
        self._wake.set()
        return job

    def retry(self, job_id: int, params: dict[str, Any] | None = None) -> Job:
        """Queue a finished job again, with its own params or the given ones. Raises NotFound, Conflict (active)."""
        job = self.store.get(job_id)
        if job.state not in FINAL:
            raise Conflict(f"Job {job_id} is still {job.state}.", "Wait for it, or cancel it first.", where="jobs")
        return self.submit(job.kind, job.params if params is None else params, job.voice, retry_of=job.id)

    # -- the dispatcher

    def start(self, url: str = "") -> list[Job]:
        """Become the workspace's dispatcher, recover what a dead studio left, and begin.

        Returns the jobs found interrupted. Raises Conflict if another studio has this workspace.
        """
        if self._thread is not None:
            return []
        self.lock.acquire(url)
        try:
            interrupted = self.recover()
        except BaseException:
            self.lock.release()
            raise
        self._stopping.clear()
        self._thread = threading.Thread(target=self._loop, name="job-dispatcher", daemon=True)
        self._thread.start()
        return interrupted

    def announce(self, url: str) -> None:
        """Tell a second studio where this one is, once its port is known."""
        if self.lock.held:
            self.lock.acquire(url)

    def stop(self) -> None:
        """Stop dispatching. Running workers go on; the next studio on this workspace picks them up."""
        thread, self._thread = self._thread, None
        self._stopping.set()
        self._wake.set()
        if thread is not None:
            thread.join()
        self._watched.clear()
        self.lock.release()

    def recover(self) -> list[Job]:
        """Settle the jobs marked running: dead ones become interrupted (returned), living ones are watched again, and
        those that no worker had begun wait again."""
        gone: list[Job] = []
        for job in self.store.list(limit=1000, states=("running",)):
            if job.id in self._watched:
                continue
            mark = processes.mark_of(self.store.path, job.id)
            if processes.is_alive(job.pid, job.pid_started, mark):
                _log.info("job %d goes on in process %s", job.id, job.pid)
                self._watched[job.id] = _Watched(job.lane, None)
                continue
            # Its worker is dead, but what that had started may not be.
            processes.end(processes.tree(None, mark))
            if job.pid is None and self.store.requeue(job.id):
                _log.info("job %d had not begun when the studio was closed: it waits again", job.id)
                continue
            error = JobCrashed(
                f"The {job.kind} job was interrupted: its process ended while the studio was closed.",
                "Start it again; what it had saved is still there.",
                where=job.log,
            )
            if self.store.finish(job.id, "interrupted", error=error, message=error.message):
                gone.append(self.store.get(job.id))
        return gone

    def _loop(self) -> None:
        told = ""
        while not self._stopping.is_set():
            try:
                self._tick()
                told = ""
            except StudioError as err:  # a full disk, a locked database: it passes, or it is told once
                if err.message != told:
                    _log.warning("dispatcher: %s", err.message)
                told = err.message
                time.sleep(_IDLE_TICK_S)
            # The thread's boundary: a bug in here must not end the dispatching of every later job in silence.
            except Exception:  # noqa: BLE001
                _log.exception("dispatcher")
                time.sleep(_IDLE_TICK_S)
            self._wake.wait(_BUSY_TICK_S if self._watched else _IDLE_TICK_S)
            self._wake.clear()

    def _tick(self) -> None:
        for job_id in list(self._watched):
            self._look_after(job_id)
        # A worker that has noted its end still holds the GPU's memory until its process is gone.
        busy = {watched.lane for watched in self._watched.values()}
        for lane in dict.fromkeys(handler.lane for handler in self.handlers.values()):
            if self._stopping.is_set():
                return
            if lane in busy:
                continue
            job = self.store.claim(lane)
            if job is not None:
                self._launch(job)

    def _launch(self, job: Job) -> None:
        log_path = self.settings.log_dir / "jobs" / f"job_{job.id:06d}.log"
        try:
            handler = find(self.handlers, job.kind)
            log_path.parent.mkdir(parents=True, exist_ok=True)
            with open(log_path, "ab") as log:
                process = self._spawn(job, handler, log_path, log.fileno())
        except (OSError, StudioError) as err:
            error = no_space(err, None, log_path) if is_no_space(err) else describe(err, None)
            _log.warning("job %d could not start", job.id, exc_info=err)
            self.store.finish(job.id, "failed", error=error, message=error.message)
            return
        self._watched[job.id] = _Watched(job.lane, process)
        self.store.set_log(job.id, str(log_path))
        started = processes.started_at(process.pid)
        if started is not None:
            self.store.attach(job.id, process.pid, started)  # the worker does so itself once it runs
        if self.store.cancel_requested(job.id):  # asked for between claim and now, when there was no one to signal
            self.cancel(job.id)

    def _spawn(self, job: Job, handler: Handler, log_path: Path, log: int) -> "subprocess.Popen[bytes]":
        environment = {
            **os.environ,
            processes.MARK: processes.mark_of(self.store.path, job.id),
            "PYTHONUNBUFFERED": "1",
            "PYTHONUTF8": "1",
            "OMP_NUM_THREADS": str(device.threads(self.settings.threads)),
        }
        command = [
            *(sys.executable, "-m", "core.jobs.worker"),
            *("--db", str(self.store.path), "--job", str(job.id), "--target", handler.target),
            *("--settings", self.settings.for_worker(), "--log", str(log_path)),
        ]
        flags = 0
        if sys.platform == "win32":
            flags = subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW
        return subprocess.Popen(
            command,
            cwd=REPO_ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=os.name != "nt",  # Ctrl-C in the studio's terminal is not for the worker
            creationflags=flags,
        )

    def _look_after(self, job_id: int) -> None:
        watched = self._watched[job_id]
        job = self.store.get(job_id)
        if watched.process is not None:
            exit_code = watched.process.poll()
            alive = exit_code is None
        else:
            exit_code = None
            alive = processes.is_alive(job.pid, job.pid_started)
        if not alive:
            self._settle(job_id, exit_code)
        elif job.cancel_requested or not job.active:
            self._enforce(job, watched)

    def _enforce(self, job: Job, watched: _Watched) -> None:
        """End the processes of a cancelled job, or of one that is over, when they outstay the grace."""
        now = time.monotonic()
        if watched.overdue_since_s is None:
            watched.overdue_since_s = now
        handler = self.handlers.get(job.kind)
        if now - watched.overdue_since_s < (handler.grace_s if handler else 10.0):
            return
        _log.warning("job %d did not stop in time; ending its processes", job.id)
        rest = processes.end(processes.tree(job.pid, processes.mark_of(self.store.path, job.id)))
        if rest:
            _log.error("job %d: processes %s would not end", job.id, [process.pid for process in rest])

    def _settle(self, job_id: int, exit_code: int | None) -> None:
        """The worker is gone: note how it ended unless it did so itself, and end what it left behind."""
        job = self.store.get(job_id)
        if job.state == "running":
            log_path = Path(job.log) if job.log else None
            if job.cancel_requested:
                message = "Stopped. It had to be ended, so the last moments of its work may be missing."
                self.store.finish(job_id, "cancelled", error=Cancelled(message), message=message)
            else:
                error: StudioError = (
                    disk_full_result(log_path) if exit_code == EXIT_UNRECORDED else crashed(exit_code, log_path)
                )
                self.store.finish(job_id, "failed", error=error, message=error.message)
            _log.info("job %d ended without a word, exit code %s", job_id, exit_code)
        processes.end(processes.tree(None, processes.mark_of(self.store.path, job_id)))
        del self._watched[job_id]
        self._wake.set()
