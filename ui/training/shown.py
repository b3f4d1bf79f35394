"""Which run the Training page shows, and which others it draws over it."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from core.summaries import run_of
from ui.controls import Context, Scene

if TYPE_CHECKING:
    from core.jobs.model import Job
    from core.studio import RunSummary

GOING = ("preparing", "running")
MOST_OVER = 5  # lines over one another that can still be told apart


def voice_runs(ctx: Context, scene: Scene) -> "list[RunSummary]":
    """Runs of the chosen voice, newest first."""
    return ctx.studio.runs(scene.voice) if scene.voice else []


def shown_run(ctx: Context, scene: Scene) -> "RunSummary | None":
    """The run that was chosen, else the newest."""
    return chosen_run(scene.values["run"], voice_runs(ctx, scene))


def chosen_run(name: str | None, runs: "Sequence[RunSummary]") -> "RunSummary | None":
    """The run of that name, else the newest."""
    return next((r for r in runs if r.name == name), runs[0] if runs else None)


def run_elsewhere(name: str | None, runs: "Sequence[RunSummary]", jobs: "Iterable[Job]") -> "RunSummary | None":
    """The run that is shown, if it goes on without a job of this studio: on a cluster, by torchrun."""
    run = chosen_run(name, runs)
    if run is None or run.state not in GOING:
        return None
    here = any(job.kind == "train" and job.active and run_of(job, [run]) is run for job in jobs)
    return None if here else run


def over_runs(ctx: Context, scene: Scene) -> "list[RunSummary]":
    """The checked ones of the other runs."""
    shown = shown_run(ctx, scene)
    checked = scene.values["over"] or []
    return [r for r in voice_runs(ctx, scene) if r.name in checked and shown and r.name != shown.name][:MOST_OVER]


def job_of(scene: Scene) -> "Job | None":
    """The newest training of the chosen voice."""
    return scene.latest("train", scene.voice) if scene.voice else None


def job_of_run(scene: Scene, run: "RunSummary | None") -> "Job | None":
    """The newest training of this run."""
    jobs = (job for job in scene.jobs if job.kind == "train" and job.voice == scene.voice)
    return next((job for job in jobs if run and run_of(job, [run]) is run), None)
