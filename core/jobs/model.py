"""What a job is."""

import time
from dataclasses import dataclass, field
from typing import Any, Literal

State = Literal["queued", "running", "completed", "failed", "cancelled", "interrupted"]
ACTIVE: tuple[State, ...] = ("queued", "running")
FINAL: tuple[State, ...] = ("completed", "failed", "cancelled", "interrupted")


@dataclass(frozen=True)
class Job:
    """One queued unit of work, as the database has it. Times are unix seconds.

    Attributes:
        kind: name of its handler, such as "prep", "train", "convert".
        params: what the handler gets (JSON).
        voice: the voice it belongs to, for the lists; None if to none.
        state: queued -> running -> completed, failed, cancelled or interrupted (its process was gone at
            the studio's start).
        progress: 0..1.
        eta_s: seconds left as estimated at `updated_at`; None while unknown.
        result: what the handler returned (JSON); also kept of a cancelled job that saved its work.
        error: `StudioError.to_dict()` of a failed, interrupted or cancelled job.
        pid, pid_started: the worker process and its start (see core.jobs.processes), to tell it from a
            later process with the same number.
        lane: jobs of one lane run one after another, lanes run side by side.
        log: path of the job's log file.
        cancel_requested: the user asked it to stop.
        retry_of: the job that this one repeats.
    """

    id: int
    kind: str
    params: dict[str, Any]
    voice: str | None
    state: State
    progress: float
    message: str
    eta_s: float | None
    result: dict[str, Any] | None
    error: dict[str, str] | None
    created_at: float
    started_at: float | None
    finished_at: float | None
    pid: int | None
    pid_started: float | None
    lane: str
    log: str
    cancel_requested: bool = False
    retry_of: int | None = None
    updated_at: float = field(default=0.0)

    @property
    def active(self) -> bool:
        """True while queued or running."""
        return self.state in ACTIVE

    def eta_now_s(self, now: float | None = None) -> float | None:
        """Seconds left now: the estimate less the time since it was made, never below zero."""
        if self.eta_s is None or self.state != "running":
            return None
        return max(0.0, self.eta_s - max(0.0, (time.time() if now is None else now) - self.updated_at))

    def to_dict(self) -> dict[str, Any]:
        """The JSON form for pages and the command line."""
        data = {name: getattr(self, name) for name in self.__dataclass_fields__}
        data["eta_s"] = self.eta_now_s()
        return data
