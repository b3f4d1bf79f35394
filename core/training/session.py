"""One start of a run: made or found, guarded against a second process, its end told truly. For every engine."""

import contextlib
import os
import platform
import time
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from typing import Any

from core import __version__
from core.errors import BadInput, Cancelled, Conflict, NoSpace, StudioError
from core.settings import Settings
from core.training import stopfile
from core.training.alive import Heartbeat, RunLock, boot_id, host
from core.training.health import OutOfMemory
from core.training.options import Options, RunOptions, checked
from core.training.runs import Run, RunInfo, create_run, is_going, open_run, own_process

HANDED_OVER = "TIMBRE_RUN_HANDED_OVER"
"""Environment variable: name of the run that the process which began it has left to this one (and its children)."""


def begin(params: dict[str, Any], settings: Settings, model: type[Options]) -> tuple[Run, RunInfo, Options]:
    """The run that a job's parameters mean: a new one, or with "resume" one that goes on.

    `model`: the options of the engine that trains it.

    Raises:
        BadInput: options that are not.
        NotFound: no such voice or run; no folder is made then.
        Conflict: the run is going on.
    """
    wanted = params.get("resume")
    if wanted:
        run = open_run(settings.runs, str(wanted))
        info = run.read()
        handed_over = os.environ.get(HANDED_OVER) == run.name
        if not handed_over:
            stopfile.forget(run)
        if is_going(run.path, info) and not handed_over:
            raise Conflict(f"The run '{run.name}' is going on already (process {info.pid}).", "Stop it first.")
        changes = {name: params[name] for name in model.may_change if params.get(name) is not None}
        options = checked(model, {**info.options, **changes, "resume": None})
        _note_changes(info, options)
        info.options, info.steps, info.error, info.offer = options.model_dump(), options.steps, None, None
    else:
        options = checked(model, params)
        from core.dataset.voices import VoiceStore

        VoiceStore(settings.voices_dir).get(options.voice)  # before a folder is made for a voice that is not there
        run = create_run(settings.runs, options.name, options.voice, options.preset)
        info = RunInfo(
            run.name,
            options.voice,
            options.preset,
            options.encoder,
            steps=options.steps,
            pitch=options.pitch,
            started_at=time.time(),
            options=options.model_dump(),
        )
    info.state, info.paused = "preparing", None
    info.pid, info.pid_started = own_process()
    info.host, info.boot_id = host(), boot_id()
    info.versions = versions()
    run.write(info)
    return run, info, options


def resume_params(run: str, info: RunInfo, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters of a job that goes on with a run. What is None is no change.

    Raises:
        BadInput: an option that a run cannot change, or a value out of range.
    """
    from core.training.engines import engine_of, options_class

    model = options_class(engine_of(info))
    wanted = {name: value for name, value in changes.items() if value is not None}
    wrong = sorted(set(wanted) - set(model.may_change))
    if wrong:
        raise BadInput(
            f"A run cannot go on with another {', '.join(wrong)}.", f"It may change {', '.join(model.may_change)}."
        )
    checked(model, {**info.options, **wanted, "resume": None})
    return {"resume": run, **wanted}


def _note_changes(info: RunInfo, options: RunOptions) -> None:
    """Say what goes on otherwise than it began, where that bears on the weights."""
    before = {**type(options).model_validate({"voice": options.voice}).model_dump(), **info.options}
    for name in ("batch_size", "accumulate", "learning_rate", "precision", "compile", "steps", "devices", "ranks"):
        now = getattr(options, name)
        if before[name] != now:
            info.notes.append(f"From step {info.saved_step or 0} on {name} is {now} (it was {before[name]}).")


@contextlib.contextmanager
def guarded(run: Run, info: RunInfo) -> Iterator[None]:
    """While the body trains: no other process may, the heartbeat goes, and how it ended is noted in run.json."""
    with RunLock(run.path), Heartbeat(run.path):
        try:
            yield
        except Cancelled:
            info.state, info.error = "stopped", None
            raise
        except BaseException as err:  # recorded at the job's boundary, then handed on
            info.state = "failed"
            info.error = (
                err.to_dict() if isinstance(err, StudioError) else {"code": "error", "message": repr(err), "hint": ""}
            )
            info.offer = dict(err.offer) if isinstance(err, OutOfMemory) and err.offer else None
            raise
        finally:
            info.pid = info.pid_started = info.paused = None
            # On a full disk the error above says it all; this must not take its place.
            with contextlib.suppress(NoSpace, BadInput):
                run.write(info)


def versions() -> dict[str, str]:
    """Of what the weights depend on."""
    import torch

    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": version("numpy"),
        "safetensors": version("safetensors"),
        "studio": __version__,
    }
