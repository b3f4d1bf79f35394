"""The job "clean": recordings through the chosen steps, each step's file kept. Originals are only ever read."""

import contextlib
import math
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core import atomic
from core.audio.decode import load, probe
from core.audio.quality import measure
from core.cleaning import denoise, separate
from core.cleaning.blocks import Source, write_blocks
from core.cleaning.options import CleanOptions, parse_clean_options
from core.cleaning.record import RECORD_FILE, CleanRecord, StepRecord, folder_of, write
from core.cleaning.steps import STEP_FUNCTIONS
from core.dataset.prepare import recordings
from core.dataset.voices import Voice, VoiceStore
from core.errors import BadInput, NotFound, StudioError, is_no_space, no_space
from core.paths import safe_name, unique_path

if TYPE_CHECKING:
    from core.jobs.context import JobContext

_LISTEN_S = 60.0
_BYTES_A_SAMPLE = 3
_RESERVE_BYTES = 64 << 20
_NO_LEVEL_DB = -120.0  # JSON has no infinity


def run_clean(params: dict[str, Any], ctx: "JobContext") -> dict[str, Any]:
    """Clean recordings of a voice, or any files into a folder.

    `params`: `options` (see `CleanOptions`) and either `voice` with `files` (names of recordings; none: all), whose
    results lie in the voice's `denoised_audio` and take the recordings' place when clips are made next; or `out`
    (folder) with `files` (paths), whose results are `out/NAME.flac` with the steps beside them in `out/NAME steps`.

    Returns `files`: {`source`, `result` (path), `steps`: [{`name`, `file` (path), `before`, `after`, `notes`}]},
    `failed` {name: why}, `seconds`. A file that cannot be read is named and the others go on.

    Raises BadInput (options, nothing to clean, no file could be cleaned), NotFound, Unavailable (a step's package or
    weights are missing; nothing was done), NoSpace, Cancelled (finished files stay).
    """
    started = time.monotonic()
    options = parse_clean_options(params.get("options"))
    _check_steps(options, ctx)
    work = list(_work(params, ctx))
    if params.get("out"):
        atomic.check_target(Path(str(params["out"])).expanduser() / RECORD_FILE)
    done: list[dict[str, Any]] = []
    failed: dict[str, str] = {}
    for number, (name, path, voice) in enumerate(work, start=1):
        part = ctx.sub((number - 1) / len(work), number / len(work))
        part.progress(0.0, f"{name} ({number}/{len(work)})")
        try:
            done.append(_clean_one(name, path, voice, params, options, part))
        except (BadInput, OSError) as err:
            if isinstance(err, OSError) and is_no_space(err):
                raise no_space(err, None, path) from err
            failed[name] = (
                str(err) if isinstance(err, StudioError) else f"{name} cannot be read: {err.strerror or err}."
            )
    if not done:
        raise BadInput(" ".join(list(failed.values())[:3]), where=str(work[0][1]))
    ctx.report(1.0, "")
    return {"files": done, "failed": failed, "seconds": round(time.monotonic() - started, 2)}


def _check_steps(options: CleanOptions, ctx: "JobContext") -> None:
    """Say at once what a step lacks, before hours of others were done."""
    if "denoise" in options.steps:
        denoise.choose(options.denoiser)
    if "separate" in options.steps:
        separate.check(ctx.settings, options.separator)


def _work(params: dict[str, Any], ctx: "JobContext") -> Iterator[tuple[str, Path, Voice | None]]:
    """(name, file, voice) of everything to clean."""
    files = [str(name) for name in params.get("files") or []]
    if bool(params.get("voice")) == bool(params.get("out")):
        raise BadInput("Cleaning wants a voice, or files and a folder for the results.", "Name one.", where="voice")
    if params.get("voice"):
        voice = VoiceStore(ctx.settings.voices_dir).get(str(params["voice"]))
        present = recordings(voice)
        missing = [name for name in files if name not in present]
        if missing:
            raise NotFound(
                f"There is no recording {missing[0]!r} in {voice.name!r}.", "Choose again.", where=missing[0]
            )
        if not present:
            raise BadInput(f"The voice {voice.name!r} has no recordings.", "Add some first.", where=voice.name)
        yield from ((name, voice.raw / name, voice) for name in files or present)
        return
    if not files:
        raise BadInput("There is nothing to clean.", "Name audio files.", where="files")
    for name in files:
        if not Path(name).is_file():
            raise NotFound(f"There is no file {name}.", "Check the path.", where=name)
        yield Path(name).name, Path(name), None


def _clean_one(
    name: str, path: Path, voice: Voice | None, params: dict[str, Any], options: CleanOptions, ctx: "JobContext"
) -> dict[str, Any]:
    info = probe(path)
    if voice is not None:
        target = folder_of(voice, name)
    else:
        folder = Path(str(params["out"])).expanduser()
        final = unique_path(folder / f"{safe_name(path.stem, 'clean')}.{options.format}")
        target = unique_path(final.with_name(f"{final.stem} steps"))
    _check_room(target, (info.duration_s or 3600.0) * info.rate_hz, options)
    stat = path.stat()
    with _replaced(target) as folder:
        steps = _run_steps(path, folder, info.rate_hz, info.duration_s or 0.0, options, ctx)
        record = CleanRecord(
            name, stat.st_size, stat.st_mtime_ns, info.rate_hz, options.model_dump(mode="json"), len(steps), steps
        )
        write(folder, record)
    result = target / steps[-1].file
    if voice is None:
        with atomic.file(final) as temp:
            _link_or_copy(result, temp)
        result = final
    shown = [
        {"name": s.name, "file": str(target / s.file), "before": s.before, "after": s.after, "notes": s.notes}
        for s in steps
    ]
    return {"source": name, "result": str(result), "steps": shown}


def _run_steps(
    path: Path, folder: Path, rate_hz: int, duration_s: float, options: CleanOptions, ctx: "JobContext"
) -> list[StepRecord]:
    """Each step reads the file of the one before and writes its own."""
    records: list[StepRecord] = []
    before = _figures(path, rate_hz)
    for number, name in enumerate(options.steps, start=1):
        began = time.monotonic()
        part = ctx.sub((number - 1) / len(options.steps), number / len(options.steps))
        part.progress(0.0, f"{path.name if number == 1 else records[-1].name}: {name}")
        source = Source(path, rate_hz, duration_s, ctx.settings.max_decode_hours, part)
        after_path = folder / f"{number}_{name}.{options.format}"
        blocks = STEP_FUNCTIONS[name](source, options)
        n_samples = write_blocks(after_path, blocks, rate_hz, options.format, duration_s * rate_hz)
        after = _figures(after_path, rate_hz)
        seconds = round(time.monotonic() - began, 2)
        records.append(StepRecord(name, after_path.name, seconds, before, after, source.notes))
        path, before, duration_s = after_path, after, n_samples / rate_hz
    return records


def _figures(path: Path, rate_hz: int) -> dict[str, float]:
    quality = measure(load(path, rate_hz, _LISTEN_S), rate_hz)
    levels = {"lufs": quality.lufs, "peak_db": quality.peak_db}
    shown = {key: round(value if math.isfinite(value) else _NO_LEVEL_DB, 2) for key, value in levels.items()}
    return {**shown, "snr_db": round(quality.snr_db, 1)}


def _check_room(target: Path, n_samples: float, options: CleanOptions) -> None:
    home = target
    while not home.exists():
        home = home.parent
    need = int(n_samples * _BYTES_A_SAMPLE * len(options.steps)) + _RESERVE_BYTES
    if shutil.disk_usage(home).free < need:
        raise no_space(None, need, target)


@contextlib.contextmanager
def _replaced(target: Path) -> Iterator[Path]:
    """An empty folder that takes `target`'s place on a clean exit; what was there stays until then."""
    staging = target.with_name(f".tmp-{os.getpid()}-{target.name}")  # the name that `atomic.sweep` knows
    shutil.rmtree(staging, ignore_errors=True)
    try:
        staging.mkdir(parents=True)
        yield staging
        old = target.with_name(f".tmp-{os.getpid()}-old-{target.name}")
        if target.exists():
            target.rename(old)
        staging.rename(target)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _link_or_copy(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # another disk, or a file system without links
        shutil.copyfile(source, target)
