"""The conversion job: a recording of any length in, the same in a trained voice out."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from core import atomic
from core import device as devices
from core.audio.encode import write_audio
from core.engines.sovits import convert_options
from core.engines.sovits.convert_options import ConvertOptions, options_from_sidecar, sidecar_of
from core.engines.sovits.convert_tools import Tools, load_tools
from core.engines.sovits.dataset import RATE_HZ
from core.engines.sovits.export import MODEL_FILE, VoiceModel, voice_models
from core.engines.sovits.join import follow_loudness, limit_peaks
from core.engines.sovits.pitch_track import Track
from core.engines.sovits.render import decode, render_all
from core.errors import BadInput, NotFound
from core.paths import inside, safe_name, unique_path

if TYPE_CHECKING:
    from core.dataset.voices import Voice
    from core.jobs.context import JobContext

__all__ = ["options_from_sidecar", "run_convert", "suggest_transpose"]

_TRACK_SLACK_S = 0.5
NOTICE = "Synthetic voice made with Timbre Studio. Not a recording of this person."


def suggest_transpose(source_f0_median: float | None, target_f0_median: float | None) -> int:
    """Whole semitones from one median pitch (Hz) to another; 0 where either is unknown."""
    from core.key import semitones_between

    if not source_f0_median or not target_f0_median:
        return 0
    return semitones_between(source_f0_median, target_f0_median)


def run_convert(params: dict[str, Any], ctx: "JobContext") -> dict[str, Any]:
    """Convert one recording.

    Args:
        params: fields of `ConvertOptions`.
        ctx: settings, progress, cancel. After a cancel nothing is left behind.

    Returns:
        {"output", "sidecar", "duration_s", "rtf", "transpose", "model", "warnings"}.

    Raises:
        StudioError: what is wrong and what to do.
    """
    options = convert_options.parse_options(params)
    check_source(options)
    _target(options, ctx.settings.outputs)
    return convert_with(open_tools(options, ctx), options, ctx.sub(0.02, 1.0))


def check_source(options: ConvertOptions) -> Path:
    """The recording. Raises BadInput where there is none."""
    source = Path(options.source)
    if not source.is_file():
        raise BadInput(f"There is no file {source} to convert.", "Choose an audio file.", where=str(source))
    return source


def open_tools(options: ConvertOptions, ctx: "JobContext") -> Tools:
    """Load what these options convert with; it serves any number of recordings with the same options."""
    from core.dataset.voices import VoiceStore

    settings = ctx.settings
    folder = find_model(VoiceStore(settings.voices_dir).get(options.voice), options.model)
    where = devices.pick(settings.device)
    torch.set_num_threads(devices.threads(settings.threads))
    ctx.progress(0.0, "loading the voice")
    return load_tools(options, folder, where, ctx)


def convert_with(tools: Tools, options: ConvertOptions, ctx: "JobContext") -> dict[str, Any]:
    """Convert one recording with loaded tools. Returns and raises as `run_convert`."""
    settings = ctx.settings
    began = time.monotonic()
    source = check_source(options)
    target = _target(options, settings.outputs)
    with atomic.scratch(settings.cache_dir, "convert-") as scratch:
        recording = decode(source, scratch, options, settings.max_decode_hours, ctx.sub(0.0, 0.13))
        transpose, medians = _transpose(options, source, tools.model)
        out = _scratch_array(scratch / "out.f32", recording.audio.size)
        table = render_all(options, tools, recording, transpose, out, ctx.sub(0.13, 0.93))
        follow_loudness(out, recording.audio, RATE_HZ, options.loudness_envelope)
        limited = limit_peaks(out, RATE_HZ)
        ctx.progress(0.95, "writing")
        write_audio(target, out, RATE_HZ, options.format, _tags(options, source))
        seconds = recording.audio.size / RATE_HZ
    spent = time.monotonic() - began
    figures = {"transpose": transpose, **medians, "limited": limited, "slices": table, "duration_s": seconds}
    warnings = recording.warnings + _remarks(options, tools, table, seconds)
    sidecar = _write_sidecar(options, source, target, tools, figures, warnings, spent)
    return {
        "output": str(target),
        "sidecar": str(sidecar),
        "duration_s": seconds,
        "rtf": spent / max(seconds, 1e-9),
        "transpose": transpose,
        "model": str(tools.model.folder),
        "warnings": warnings,
    }


def find_model(voice: "Voice", wanted: str | None) -> Path:
    """The folder of a voice's model: by name, by path, or the newest.

    Raises:
        NotFound: there is none.
        BadInput: a name that leads out of the voice's models.
    """
    if wanted is None:
        found = voice_models(voice.models)
        if not found:
            raise NotFound(f"The voice '{voice.name}' has no trained model.", "Train it first.", where=voice.name)
        return found[0]
    path = Path(wanted) if Path(wanted).is_absolute() else inside(voice.models, voice.models / wanted)
    if not (path / MODEL_FILE).is_file():
        raise NotFound(f"There is no model '{wanted}' of '{voice.name}'.", "Choose one of the list.", where=str(path))
    return path


# ---- before rendering


def _target(options: ConvertOptions, outputs: Path) -> Path:
    if options.out:
        target = Path(options.out)
        if target.is_dir():
            raise BadInput(f"{target} is a folder.", "Name a file in it.", where="out")
        if target.suffix.lower().lstrip(".") != options.format:
            raise BadInput(
                f"The result's name ends in '{target.suffix}', its format is {options.format}.",
                f"Let the name end in .{options.format}, or choose the other format.",
                where="out",
            )
        if target.resolve() == Path(options.source).resolve():
            raise BadInput(
                "The result would replace the recording it is made from.", "Choose another name.", where="out"
            )
        return target
    name = safe_name(f"{Path(options.source).stem}_{options.voice}", "converted")
    return unique_path(outputs / f"{name}.{options.format}")


def _scratch_array(path: Path, n_samples: int) -> NDArray[np.float32]:
    """Zeros [n_samples] in a file, so that an hour of sound does not stay in memory."""
    return np.memmap(path, np.float32, "w+", shape=(n_samples,))


def _transpose(options: ConvertOptions, source: Path, model: VoiceModel) -> tuple[float, dict[str, Any]]:
    if options.transpose != "auto":
        return float(options.transpose), {}
    from core.key import suggest_key

    target = model.card.get("f0_median")
    found = suggest_key(source, float(target) if target else None)
    medians = {"source_f0_median": found.source_median_hz, "target_f0_median": found.target_median_hz}
    return float(found.semitones), medians


# ---- after rendering


def _remarks(options: ConvertOptions, tools: Tools, table: list[dict[str, Any]], seconds: float) -> list[str]:
    said = []
    if all(row["silent"] for row in table):
        said.append("The recording is silent throughout, so the result is too. A lower slice_db finds quieter voices.")
    if options.blend and tools.mix is not None:
        said.append("Speakers are mixed, so the content was not blended: a bank belongs to one speaker.")
    if isinstance(tools.pitch, Track) and abs(tools.pitch.duration_s - seconds) > _TRACK_SLACK_S:
        said.append(
            f"The pitch file lasts {tools.pitch.duration_s:.1f} s, the recording {seconds:.1f} s; "
            "what it does not cover is unvoiced."
        )
    return said


def _tags(options: ConvertOptions, source: Path) -> dict[str, str]:
    # Nothing here may depend on when or where it was made: the same conversion gives the same bytes.
    return {"title": source.stem, "artist": options.voice, "comment": NOTICE, "encoder": "Timbre Studio"}


def _write_sidecar(
    options: ConvertOptions,
    source: Path,
    target: Path,
    tools: Tools,
    figures: dict[str, Any],
    warnings: list[str],
    spent_s: float,
) -> Path:
    import platform
    from importlib.metadata import version

    sidecar = sidecar_of(target)
    # What "newest" and "auto" meant is part of the record.
    resolved = options.model_copy(
        update={
            "source": str(source.resolve()),
            "model": str(tools.model.folder.resolve()),
            "transpose": figures["transpose"],
            "out": str(target.resolve()),
            **{name: str(path.resolve()) for name, path in tools.companions.files.items()},
        }
    )
    atomic.write_json(
        sidecar,
        {
            "format": convert_options.SIDECAR_FORMAT,
            "notice": NOTICE,
            "options": resolved.model_dump(),
            "asked": {"transpose": options.transpose, "model": options.model},
            "source": {"sha256": convert_options.file_sha256(source), "name": source.name},
            "model": {
                "sha256": convert_options.file_sha256(tools.model.folder / MODEL_FILE),
                "run": tools.model.card.get("run"),
                "step": tools.model.card.get("step"),
                "preset": tools.model.card.get("preset"),
            },
            "files": tools.companions.sha256(),
            "encoder": {"name": tools.encoder.name, "fingerprint": tools.encoder.fingerprint},
            "output": {"name": target.name, "sha256": convert_options.file_sha256(target)},
            **figures,
            "warnings": warnings,
            "device": tools.device,
            "threads": torch.get_num_threads(),
            "versions": {"python": platform.python_version(), "torch": version("torch"), "numpy": version("numpy")},
            "seconds_spent": round(spent_s, 3),
            "created": time.time(),
        },
    )
    return sidecar
