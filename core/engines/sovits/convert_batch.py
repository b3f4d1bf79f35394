"""Many recordings in one job: the models are loaded once, one recording's error does not stop the others."""

import logging
import os
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from core import atomic
from core.engines.sovits.convert_options import parse_options
from core.errors import BadInput, Cancelled, NoSpace
from core.jobs.failures import describe
from core.options import problems
from core.paths import safe_name, unique_path

if TYPE_CHECKING:
    from core.jobs.context import JobContext

FORMAT = "timbre-batch-1"
SOUNDS = frozenset(
    {
        *(".wav", ".flac", ".mp3", ".ogg", ".oga", ".opus", ".m4a", ".aac", ".wma", ".aif", ".aiff", ".ape", ".amr"),
        *(".mp4", ".mkv", ".webm", ".mov", ".avi", ".ts", ".3gp", ".caf", ".ac3", ".mka"),
    }
)
# What may differ from one recording to the next without loading the models again.
_LIGHT = ("source", "out", "transpose", "seed", "format", "loudness_envelope", "noise_scale")
log = logging.getLogger(__name__)


class BatchParams(BaseModel):
    """What a batch does."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    options: dict[str, Any]
    """Fields of ConvertOptions that all recordings share, with `voice`."""
    items: list[dict[str, Any]] = Field(min_length=1, max_length=10_000)
    """A recording each: `source`, and any fields that are its own."""
    folder: str
    """Where results go, under names made of the recordings'; made if it is not there."""
    report: str
    """JSON file that tells how each recording stands; written after every one."""


def parse_batch(params: Mapping[str, Any]) -> BatchParams:
    """Check a batch and the options of each recording. Raises BadInput naming the recording."""
    try:
        batch = BatchParams.model_validate(dict(params))
    except ValidationError as err:
        raise BadInput(f"batch: {problems(err)}", "Correct the named fields.") from err
    for item in batch.items:
        try:
            parse_options({**batch.options, **item})
        except BadInput as err:
            err.where = err.where or str(item.get("source", ""))
            raise
    return batch


def sounds_below(folder: Path) -> list[Path]:
    """The audio and video files of a folder and of all folders in it, by path; hidden ones and links are left out.

    Raises BadInput: no such folder, or none in it.
    """
    if not folder.is_dir():
        raise BadInput(f"There is no folder {folder}.", "Choose another.", where=str(folder))
    found = []
    for here, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        paths = (Path(here, name) for name in sorted(names) if not name.startswith("."))
        found += [path for path in paths if path.suffix.lower() in SOUNDS and path.is_file() and not path.is_symlink()]
    if not found:
        raise BadInput(f"There is no recording in {folder}.", "Choose a folder with audio files.", where=str(folder))
    return found


def run_batch(params: dict[str, Any], ctx: "JobContext") -> dict[str, Any]:
    """Convert every recording of a batch.

    Args:
        params: see `BatchParams`.
        ctx: settings, progress, cancel. After a cancel the results that are whole stay, and the report tells which.

    Returns:
        {"files": one dict a recording, "done", "failed", "folder", "report"}; a file is {"source", "state"} with the
        result of `run_convert`, or with "error".

    Raises:
        BadInput: the options are wrong, or not one recording could be converted.
        NoSpace: the disk is full; the results so far stay.
        Cancelled.
    """
    batch = parse_batch(params)
    folder, report = Path(batch.folder), Path(batch.report)
    rows: list[dict[str, Any]] = [{"source": str(item["source"]), "state": "queued"} for item in batch.items]
    tools: tuple[Any, Any] | None = None
    try:
        for index, item in enumerate(batch.items):
            rows[index]["state"] = "running"
            _report(report, rows)
            part = ctx.sub(index / len(rows), (index + 1) / len(rows))
            part.progress(0.0, f"{index + 1} of {len(rows)}: {Path(rows[index]['source']).name}")
            try:
                tools = _one(batch, item, folder, tools, part, rows[index])
            except (Cancelled, NoSpace):
                raise
            # A boundary: whatever one recording brings up, the next ones have a right to their turn.
            except Exception as err:
                problem = describe(err, ctx.log_path)
                log.warning("%s: %s", rows[index]["source"], problem.message, exc_info=err)
                rows[index] |= {"state": "failed", "error": problem.to_dict()}
    except BaseException:
        for row in rows:
            if row["state"] in ("queued", "running"):
                row["state"] = "cancelled"
        raise
    finally:
        _report(report, rows)
    failed = [row for row in rows if row["state"] == "failed"]
    if len(failed) == len(rows):
        first = failed[0]["error"]
        raise BadInput(
            f"None of the {len(rows)} recordings could be converted. The first: {first['message']}",
            first["hint"],
            where=first["where"],
        )
    return {
        "files": rows,
        "done": len(rows) - len(failed),
        "failed": len(failed),
        "folder": str(folder),
        "report": str(report),
    }


def _one(
    batch: BatchParams, item: dict[str, Any], folder: Path, tools: "tuple[Any, Any] | None", ctx: "JobContext", row: Any
) -> tuple[Any, Any]:
    """Convert a recording into its row. Returns the tools, with what they were loaded for, for the next one."""
    from core.engines.sovits.convert import check_source, convert_with, open_tools

    options = parse_options({**batch.options, **item})
    check_source(options)
    if options.out is None:
        speaker = f"_{options.speaker}" if options.speaker is not None else ""
        name = safe_name(f"{Path(options.source).stem}_{options.voice}{speaker}", "converted")
        options = options.model_copy(update={"out": str(unique_path(folder / f"{name}.{options.format}"))})
    heavy = options.model_dump(exclude=set(_LIGHT))
    if tools is None or tools[0] != heavy:
        tools = (heavy, open_tools(options, ctx))
    row |= {**convert_with(tools[1], options, ctx), "state": "completed"}
    return tools


def _report(path: Path, rows: list[dict[str, Any]]) -> None:
    atomic.write_json(path, {"format": FORMAT, "written": time.time(), "files": rows})


def items_of(sources: Iterable[Path], transposes: list[float | str], speakers: list[str | int]) -> list[dict[str, Any]]:
    """Items of recordings as 4.1's command line pairs them: the n-th recording has the n-th transposition, or the
    first where there are fewer; each is made with every speaker."""
    items = []
    for index, source in enumerate(sources):
        own: dict[str, Any] = {"source": str(source)}
        if transposes:
            own["transpose"] = transposes[index] if index < len(transposes) else transposes[0]
        items += [{**own, "speaker": speaker} for speaker in speakers] if speakers else [own]
    return items
