"""Which run the Training page shows, and which others it draws over it."""

from typing import TYPE_CHECKING

from core.summaries import run_of
from ui.controls import Context, Scene

if TYPE_CHECKING:
    from core.jobs.model import Job
    from core.studio import RunSummary

MOST_OVER = 5  # lines over one another that can still be told apart


def voice_runs(ctx: Context, scene: Scene) -> "list[RunSummary]":
    """Runs of the chosen voice, newest first."""
    return ctx.studio.runs(scene.voice) if scene.voice else []


def shown_run(ctx: Context, scene: Scene) -> "RunSummary | None":
    """The run that was chosen, else the newest."""
    runs = voice_runs(ctx, scene)
    return next((r for r in runs if r.name == scene.values["run"]), runs[0] if runs else None)


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
