"""A run that a Ray cluster trains, with the workspace on storage that this machine and the cluster share.

The job's own process trains nothing then. It makes the run, hands it to the cluster (`core.training.launch` with the
studio at the same path there), and follows it: progress from run.json, liveness from its heartbeat, a stop through its
stop file. If this process ends, the run goes on; its folder says all that there is to know. See docs/cluster.md.
"""

import json
import os
import shlex
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core import atomic
from core.errors import Cancelled, StudioError, Unavailable, from_dict
from core.paths import REPO_ROOT
from core.training import ranks, stopfile
from core.training.alive import SILENT_S, Heartbeat, heartbeat_age_s
from core.training.options import RunOptions
from core.training.ray_jobs import ENDED, JobState, RayJobs
from core.training.runs import Run
from core.training.session import HANDED_OVER, begin

if TYPE_CHECKING:
    from core.jobs.context import JobContext
    from core.settings import Settings

INSIDE = "TIMBRE_ON_CLUSTER"
"""Environment variable of a process that the cluster has started: it trains."""
FOLDER = "cluster"
POLL_S = 2.0
STOP_GRACE_S = 120.0
"""A run that was asked to stop may take so long for a step and a save, before the cluster is told to end it."""
_ANSWER_LATE_S = 10.0
"""Shared storage may show a file later than the cluster says that the job has ended."""


class ClusterLost(StudioError):
    """The cluster's job ended without a word, or cannot be seen any more."""

    code = "cluster_lost"


def inside() -> bool:
    """Whether the cluster has started this process."""
    return bool(os.environ.get(INSIDE))


def train(params: dict[str, Any], ctx: "JobContext", model: type[RunOptions]) -> dict[str, Any]:
    """Have the cluster of `options.cluster` train a run, and follow it to its end; the result is the run's own.

    Raises:
        BadInput, Unavailable: no such cluster, or it does not answer. No run is made then.
        ClusterLost: its job ended without a word; run.json says so, and the run can be resumed.
        StudioError: what the run found wrong.
    """
    address = str(params.get("cluster") or "")
    if not address:  # a run that goes on where it was
        from core.training.runs import open_run

        address = str(open_run(ctx.settings.runs, str(params["resume"])).read().options["cluster"])
    server = RayJobs(address)
    server.version()
    run, info, options = begin(params, ctx.settings, model)
    info.host = server.address  # it waits there
    run.write(info)
    try:
        return _Follower(server, submit(server, run, options, ctx.settings), run, ctx).follow()
    except Cancelled:
        raise
    except StudioError as err:
        ranks.note_end(run, err)
        raise


def submit(server: RayJobs, run: Run, options: RunOptions, settings: "Settings") -> str:
    """Give a run that `begin` has made to a cluster; the id of its job there. Raises Unavailable, NoSpace."""
    folder = run.path / FOLDER
    folder.mkdir(exist_ok=True)
    answer = _answer(run)
    answer.unlink(missing_ok=True)
    atomic.write_bytes(folder / "settings.json", settings.for_worker().encode())
    atomic.write_json(folder / "params.json", {"resume": run.name})
    command = [
        *(sys.executable, "-m", "core.training.launch"),
        *("--settings", str(folder / "settings.json"), "--params", str(folder / "params.json")),
        *("--answer", str(answer)),
    ]
    n_ranks = ranks.count(options)
    job = server.submit(
        f"cd {shlex.quote(str(REPO_ROOT))} && exec {shlex.join(command)}",
        {INSIDE: "1", HANDED_OVER: run.name},
        {"studio_run": run.name},
        cpus=max(1, settings.threads),
        gpus=0 if settings.device == "cpu" else n_ranks,
    )
    atomic.write_json(folder / "job.json", {"address": server.address, "job": job, "submitted_at": time.time()})
    return job


def _answer(run: Run) -> Path:
    return run.path / FOLDER / "answer.json"


class _Follower:
    """Watches one job until it ends."""

    def __init__(self, server: RayJobs, job: str, run: Run, ctx: "JobContext") -> None:
        self._server, self._job, self._run, self._ctx = server, job, run, ctx
        self._asked_s: float | None = None
        self._beat = Heartbeat(run.path)
        self._beat.touch()  # nobody else does until the cluster starts it

    def follow(self) -> dict[str, Any]:
        """The run's result. Raises StudioError."""
        while True:
            state = self._look()
            if state is not None and state.status in ENDED:
                return self._end(state)
            if self._ctx.cancel_requested:
                self._stop(state)
            self._show(state)
            _wait(POLL_S, self._ctx if self._asked_s is None else None)

    def _look(self) -> JobState | None:
        """None: the head does not answer just now. The run may go on all the same: its heartbeat tells."""
        try:
            return self._server.state(self._job)
        except Unavailable as err:
            age_s = heartbeat_age_s(self._run.path)
            if age_s is None or age_s > SILENT_S:
                raise ClusterLost(
                    f"{err.message} The run gave no sign of life for {SILENT_S / 60:.0f} minutes.",
                    "Look at the cluster; when it is well, resume the run.",
                    where=self._server.address,
                ) from err
            self._ctx.report(None, err.message)
            return None

    def _stop(self, state: JobState | None) -> None:
        now = time.monotonic()
        if self._asked_s is None:
            self._asked_s = now
            stopfile.ask(self._run)
        waits = state is not None and state.status == "PENDING"
        if waits or now - self._asked_s > STOP_GRACE_S:
            try:
                self._server.stop(self._job)
            except Unavailable as err:
                self._ctx.report(None, err.message)

    def _show(self, state: JobState | None) -> None:
        if state is None:
            return
        if state.status == "PENDING":
            self._beat.touch()
            self._ctx.report(None, f"The cluster has not started it yet. {state.message}".strip())
            return
        info = self._run.read()
        where = f" · {info.host}" if info.host else ""
        if info.state == "preparing":
            self._ctx.report(None, f"preparing{where}")
            return
        self._ctx.report(info.step / max(1, info.steps), info.paused or f"step {info.step}/{info.steps}{where}")

    def _end(self, state: JobState) -> dict[str, Any]:
        deadline = time.monotonic() + (_ANSWER_LATE_S if self._asked_s is None else 1.0)
        while not _answer(self._run).is_file() and time.monotonic() < deadline:
            time.sleep(0.2)
        try:
            answer = json.loads(_answer(self._run).read_text(encoding="utf-8"))
        except (OSError, ValueError) as err:
            if self._asked_s is not None:
                info = self._run.read()
                info.state, info.pid, info.pid_started = "stopped", None, None
                self._run.write(info)
                raise Cancelled("Stopped before the cluster had saved anything new.") from err
            raise self._lost(state) from err
        if "error" in answer:
            raise from_dict(answer["error"])
        result: dict[str, Any] = answer["result"]
        return result

    def _lost(self, state: JobState) -> ClusterLost:
        try:
            lines = self._server.log(self._job).strip().splitlines()[-3:]
        except Unavailable:
            lines = []
        said = f" Its last words: {' | '.join(lines)}" if lines else ""
        return ClusterLost(
            f"The cluster's job ended without a result ({state.status}). {state.message}{said}"[:600],
            "Resume the run: it goes on from its last checkpoint.",
            where=self._server.address,
        )


def _wait(seconds: float, ctx: "JobContext | None") -> None:
    """Wait, but not for long once a stop is asked for."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and not (ctx is not None and ctx.cancel_requested):
        time.sleep(0.2)
