"""Refusals that only the service has."""

from core.errors import Conflict
from core.jobs.model import Job


class Busy(Conflict):
    """A job for the same thing is under way; `job` is it."""

    def __init__(self, job: Job, name: str) -> None:
        super().__init__(
            f"Job {job.id} ({job.kind}, {job.state}) works on the character {name!r}.",
            "Wait until it ends, or cancel it.",
            where=name,
        )
        self.job = job

    def to_dict(self) -> dict[str, str]:
        """With the number of the job."""
        return {**super().to_dict(), "job_id": str(self.job.id)}
