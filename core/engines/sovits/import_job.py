"""The job that brings a person's so-vits-svc over: looks at a folder, files or archives, and installs what it finds.

With `look` it only tells what is there and what would be done.
"""

import tempfile
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from core.engines.sovits.import_look import Found, look
from core.engines.sovits.import_plan import Plan, make_plan
from core.errors import BadInput, Cancelled, NoSpace, NotFound, StudioError
from core.models.unpack import unpack
from core.settings import Settings

if TYPE_CHECKING:
    from core.jobs.context import JobContext

MOST_FILES = 20_000
_SHARED = ("encoder", "rmvpe", "vocoder")


class ImportOptions(BaseModel):
    """What to import.

    `paths`: folders, files and zip archives. `voice`: name of the voice for all voice models; None: each has its own.
    `every`: every checkpoint of a training, not only its newest. `look`: only tell. `replace`: put encoders, vocoder
    and pitch predictor in place of those that are there.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    paths: list[str] = Field(min_length=1, max_length=1000)
    voice: str | None = None
    every: bool = False
    look: bool = False
    replace: bool = False


def run_import(params: dict[str, Any], ctx: "JobContext") -> dict[str, Any]:
    """Look, and install unless `look`.

    Args:
        params: fields of `ImportOptions`.
        ctx: settings, progress, cancel. What was installed before a cancel stays; nothing half-made does.

    Returns:
        {"files": [{"name", "kind", "says", "problem", "fix", "usable"}], "voices": [{"voice", "model", "folder",
        "encoder", "speakers", "beside", "needs", "new"}], "installed": [{"what", "folder"}], "looked": bool}.

    Raises:
        BadInput: options that are not, or nothing of so-vits-svc in what was given.
        NotFound: a path that is not there.
        NoSpace: the disk is full.
    """
    try:
        options = ImportOptions.model_validate(params)
    except ValidationError as err:
        raise BadInput("import options: " + "; ".join(e["msg"] for e in err.errors())) from err
    paths = [Path(path) for path in options.paths]
    missing = [path for path in paths if not path.exists()]
    if missing:
        raise NotFound(f"There is nothing at {missing[0]}.", "Choose a folder, files or a .zip.", where=str(missing[0]))
    ctx.settings.cache_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="import-", dir=ctx.settings.cache_dir, ignore_cleanup_errors=True) as name:
        named = _named(paths, Path(name), ctx.sub(0.0, 0.2))
        files = _look_at(named, ctx.sub(0.2, 0.5))
        plan = make_plan(files, paths[0].name, options.voice, options.every)
        if not files:
            raise BadInput(
                "There is no file of so-vits-svc in it.",
                "Choose the folder that holds G_*.pth and config.json, or an archive of it.",
                where=str(paths[0]),
            )
        result = _told(plan, ctx.settings)
        if not options.look:
            _install(plan, options, result, ctx.sub(0.5, 1.0))
        return {**result, "looked": options.look}


def _named(paths: Sequence[Path], scratch: Path, ctx: "JobContext") -> list[tuple[Path, str]]:
    """Every file, with its name below what was given; archives unpacked in `scratch`."""
    found: list[tuple[Path, str]] = []
    for number, path in enumerate(paths):
        part = ctx.sub(number / len(paths), (number + 1) / len(paths))
        if path.is_dir():
            found += [(file, f"{path.name}/{file.relative_to(path).as_posix()}") for file in _below(path)]
        elif path.suffix.lower() == ".zip" and zipfile.is_zipfile(path):
            folder = scratch / f"{number}"
            files = unpack(path, folder, part)
            found += [(file, f"{path.name}/{file.relative_to(folder).as_posix()}") for file in files]
        elif path.suffix.lower() == ".zip":
            raise BadInput(f"{path.name} is not a whole zip archive.", "Download or copy it again.", where=str(path))
        else:
            found.append((path, path.name))
    return found


def _below(folder: Path) -> list[Path]:
    found: list[Path] = []
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.name.startswith("."):
            found.append(path)
            if len(found) > MOST_FILES:
                raise BadInput(
                    f"{folder} holds more than {MOST_FILES} files.", "Choose the folder of one installation."
                )
    return found


def _look_at(named: Sequence[tuple[Path, str]], ctx: "JobContext") -> list[Found]:
    files: list[Found] = []
    for number, (path, name) in enumerate(named):
        ctx.progress(number / max(1, len(named)), f"looking at {name}")
        found = look(path, name)
        if found is not None:
            files.append(found)
    return files


def _told(plan: Plan, settings: Settings) -> dict[str, Any]:
    """The plan as plain data."""
    from core.features import encoders

    ready = {one.name: one for one in encoders.available(settings)}
    coming = {one.facts["name"] for one in plan.files if one.kind == "encoder" and one.usable}
    voices = []
    for voice in plan.voices:
        wanted = voice.config.model.speech_encoder
        info = ready.get(wanted)
        if info is None:
            needs = f"The studio does not know its content encoder '{wanted}'."
        elif info.ready or encoders.ENCODERS[wanted].weights in coming:
            needs = ""
        else:
            needs = info.why_not
        voices.append(
            {
                "voice": voice.voice,
                "model": voice.model,
                "from": voice.generator.name,
                "encoder": wanted,
                "speakers": list(voice.config.spk),
                "beside": {kind: one.name for kind, one in voice.beside.items()},
                "needs": needs,
                "folder": None,
                "new": False,
            }
        )
    keys = ("name", "kind", "says", "problem", "fix", "usable")
    files = [{**{key: getattr(one, key) for key in keys}, "bytes": one.path.stat().st_size} for one in plan.files]
    return {"files": files, "voices": voices, "installed": []}


def _install(plan: Plan, options: ImportOptions, result: dict[str, Any], ctx: "JobContext") -> None:
    """Put everything into place; what fails is told with its file and stops nothing else."""
    from core.engines.sovits.import_base import install_base
    from core.engines.sovits.import_voice import install_voice

    settings = ctx.settings
    told = {row["name"]: row for row in result["files"]}
    steps: list[tuple[Found, Callable[[], str]]] = []
    for one in plan.files:
        if one.kind in _SHARED and one.usable:
            steps.append((one, lambda one=one: _install_shared(one, plan, options.replace, settings)))  # type: ignore[misc]
    width = next((one.facts["width"] for one in plan.bases if one.kind == "generator"), 768)
    for one in plan.bases:
        steps.append((one, lambda one=one: f"base model: {install_base(one, settings, width)}"))  # type: ignore[misc]
    for plan_of_voice, row in zip(plan.voices, result["voices"], strict=True):

        def make(which: Any = plan_of_voice, row: dict[str, Any] = row) -> str:
            folder, new = install_voice(which, settings)
            row |= {"folder": str(folder), "new": new, "voice": folder.parent.parent.name, "model": folder.name}
            return f"voice '{row['voice']}', model '{folder.name}'" + ("" if new else " (was here already)")

        steps.append((plan_of_voice.generator, make))
    for number, (one, step) in enumerate(steps):
        ctx.progress(number / len(steps), f"importing {one.name}")
        try:
            result["installed"].append({"name": one.name, "what": step()})
        except StudioError as err:
            if isinstance(err, NoSpace | Cancelled):
                raise
            told[one.name] |= {"problem": err.message, "fix": err.hint, "usable": False}


def _install_shared(one: Found, plan: Plan, replace: bool, settings: Settings) -> str:
    from core.engines.sovits import import_voice
    from core.models import catalogue

    entry = {"rmvpe": "rmvpe", "vocoder": "nsf-hifigan"}.get(one.kind) or str(one.facts["name"])
    if not replace and catalogue.locate(settings, entry).state == "present":
        return f"{entry} (was here already, and stays)"
    if one.kind == "rmvpe":
        folder = import_voice.install_rmvpe(one, settings)
    elif one.kind == "vocoder":
        config = next((f.path for f in plan.files if f.kind == "vocoder-config" and f.folder == one.folder), None)
        if config is None:
            raise BadInput("There is no config.json beside the vocoder.", "Import it with the config.json of its own.")
        folder = import_voice.install_vocoder(one, config, settings)
    else:
        folder = import_voice.install_encoder(one, settings)
    checked = import_voice.checksum_words(one, entry)
    return f"{entry}: {folder}{'. ' + checked if checked else ''}"
