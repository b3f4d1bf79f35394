"""The job "export": a full checkpoint as files of the program that its engine comes from, to go on with there."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import BadInput, NotFound
from core.training.engines import exporter_of
from core.training.runs import Run, RunInfo, open_run

if TYPE_CHECKING:
    from core.jobs.context import JobContext

FOLDER = "export"


def can_export(info: RunInfo) -> bool:
    """Whether there is another program for checkpoints of this run. Light."""
    return exporter_of(info) is not None


def exported(run: Run) -> list[Path]:
    """Files that were exported so far, by name."""
    folder = run.path / FOLDER
    return sorted(path for path in folder.iterdir() if path.is_file()) if folder.is_dir() else []


def run_export(params: dict[str, Any], ctx: "JobContext") -> dict[str, Any]:
    """Write the files of one checkpoint into the folder `export` of its run.

    Args:
        params: {"run", "step"}.

    Returns:
        {"folder", "files": names}.

    Raises:
        NotFound: no such run, or no full checkpoint of that step.
        BadInput: no other program takes such checkpoints.
        ModelFileError: the checkpoint is damaged.
        NoSpace: the disk is full.
    """
    from core.training.generations import generation_name, load_generation

    run, step = open_run(ctx.settings.runs, str(params["run"])), int(params["step"])
    write = exporter_of(run.read())
    if write is None:
        raise BadInput("No other program takes checkpoints of this run.", "Use the voice's own model.", where=run.name)
    place = run.checkpoints / generation_name(step)
    if not place.is_dir():
        raise NotFound(f"The run '{run.name}' has no full checkpoint of step {step}.", "Choose one of its list.")
    ctx.progress(0.1, f"step {step}")
    files: list[Path] = write(load_generation(place), run.config_file, run.path / FOLDER)
    return {"folder": str(run.path / FOLDER), "files": [path.name for path in files]}
