"""The job "song": a song in, the same song sung by a trained voice out."""

import hashlib
import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core import atomic, summaries
from core.engines.sovits import convert_options
from core.engines.sovits.convert_options import file_sha256, sidecar_of
from core.errors import BadInput, NotFound, StudioError
from core.paths import safe_name, unique_path
from core.song.options import OCTAVE, SIDECAR_FORMAT, SongOptions, parse_options
from core.song.stems import SongStems, stems_of

if TYPE_CHECKING:
    from core.jobs.context import JobContext
    from core.song.mix import Mixed

NOTICE = "Sung by a synthetic voice made with Timbre Studio. Not a recording of this person."
_MODEL_FILE = "model.safetensors"


@dataclass(frozen=True)
class Sung:
    """The voice's take: its file, the sidecar of its conversion."""

    path: Path
    record: dict[str, Any]
    reused: bool
    seconds: float


def run_song(params: dict[str, Any], ctx: "JobContext") -> dict[str, Any]:
    """Make one song. What an earlier one had in common with it (stems, conversion) is not made again.

    Args:
        params: fields of `SongOptions`.
        ctx: settings, progress, cancel. A cancel leaves whole stems or a whole conversion for the next time, and
            nothing half-made.

    Returns:
        {"output", "sidecar", "duration_s", "vocals", "accompaniment", "converted", "transpose", "lufs", "peak_dbtp",
        "limited", "seconds": by part, "reused": the parts that were there already, "warnings"}.

    Raises:
        StudioError: what is wrong and what to do.
    """
    options = parse_options(params)
    given = [path for path in (options.source, options.vocals, options.accompaniment) if path]
    target = _target(options, ctx.settings.outputs, given)
    model = _model(options, ctx)
    stems = stems_of(options, ctx.sub(0.0, 0.35))
    sung = _sing(options, model, stems, ctx.sub(0.35, 0.85))
    from core.audio.encode import write_audio
    from core.song.effects import RATE_HZ
    from core.song.mix import mix_down

    began = time.monotonic()
    with atomic.scratch(ctx.settings.cache_dir, "song-") as scratch:
        audio, mixed = mix_down(
            sung.path,
            stems.accompaniment,
            options.mix,
            scratch,
            ctx.sub(0.85, 0.98),
            original_vocals=stems.vocals,
        )
        ctx.progress(0.98, "writing")
        write_audio(target, audio, RATE_HZ, options.format, _tags(options, given[0]))
        duration_s = audio.shape[0] / RATE_HZ
    seconds = {"separate": stems.seconds, "convert": sung.seconds, "mix": time.monotonic() - began}
    warnings = [*sung.record["warnings"], *_remarks(sung.record["transpose"])]
    sidecar = _write_sidecar(options, model, stems, sung, mixed, target, seconds, warnings)
    return {
        "output": str(target),
        "sidecar": str(sidecar),
        "duration_s": duration_s,
        "vocals": str(stems.vocals),
        "accompaniment": str(stems.accompaniment),
        "converted": str(sung.path),
        "transpose": sung.record["transpose"],
        "lufs": mixed.mix.lufs,
        "peak_dbtp": mixed.mix.peak_db,
        "limited": mixed.limited,
        "seconds": {name: round(value, 3) for name, value in seconds.items()},
        "reused": [name for name, was in (("stems", stems.reused), ("conversion", sung.reused)) if was],
        "warnings": warnings,
    }


def _target(options: SongOptions, outputs: Path, given: list[str]) -> Path:
    if not options.out:
        name = safe_name(f"{Path(given[0]).stem}_{options.voice}_song", "song")
        return unique_path(outputs / f"{name}.{options.format}")
    target = Path(options.out)
    if target.suffix.lower().lstrip(".") != options.format:
        raise BadInput(
            f"The result's name ends in '{target.suffix}', its format is {options.format}.",
            f"Let the name end in .{options.format}, or choose the other format.",
            where="out",
        )
    atomic.check_target(target, *given)
    return target


def _model(options: SongOptions, ctx: "JobContext") -> summaries.ModelSummary:
    """The voice's model, without loading it: a new mix of a kept conversion needs no torch."""
    from core.dataset.voices import VoiceStore

    voice = VoiceStore(ctx.settings.voices_dir).get(options.voice)
    models = summaries.models_of(voice)
    wanted = options.convert.get("model") or None
    found = next((one for one in models if wanted in (None, one.name, str(one.path))), None)
    if found is None:
        what = f"no model '{wanted}'" if wanted else "no trained model"
        raise NotFound(f"The voice '{voice.name}' has {what}.", "Train it first, or choose another.", where=voice.name)
    return found


# ---- the voice's take


def _sing(options: SongOptions, model: summaries.ModelSummary, stems: SongStems, ctx: "JobContext") -> Sung:
    """Convert the vocals, or take the conversion that is there for the same vocals, model and options."""
    began = time.monotonic()
    asked = {**options.convert, "model": str(model.path.resolve()), "voice": options.voice}
    asked["source"] = str(stems.vocals.resolve())
    if asked.get("transpose") == "auto":
        asked["transpose"] = _octaves(stems.vocals, model.f0_median)
    identity = [convert_options.parse_options(asked).model_dump(), file_sha256(stems.vocals)]
    key = hashlib.sha256(json.dumps(identity, sort_keys=True, default=str).encode()).hexdigest()[:12]
    path = stems.folder / f"{safe_name(options.voice, 'voice')}-{key}.wav"
    reused = _is_kept(path)
    if not reused:
        from core.engines.sovits.convert import run_convert

        path.parent.mkdir(parents=True, exist_ok=True)
        run_convert({**asked, "format": "wav", "out": str(path)}, ctx)
    record = json.loads(sidecar_of(path).read_text(encoding="utf-8"))
    return Sung(path, record, reused, time.monotonic() - began)


def _octaves(vocals: Path, target_hz: float | None) -> float:
    """The whole octaves nearest to what would suit the voice: any other key would leave the accompaniment's."""
    from core.key import suggest_key

    return float(OCTAVE * round(suggest_key(vocals, target_hz).semitones / OCTAVE))


def _is_kept(path: Path) -> bool:
    """Whether a conversion lies there whole, and nothing it was made from has changed since."""
    try:
        record = json.loads(sidecar_of(path).read_text(encoding="utf-8"))
        convert_options.options_from_sidecar(sidecar_of(path))
        return bool(file_sha256(path) == record["output"]["sha256"])
    except (OSError, ValueError, KeyError, StudioError):
        return False


# ---- after mixing


def _remarks(transpose: float) -> list[str]:
    if transpose % OCTAVE == 0:
        return []
    return [
        f"The voice was moved by {transpose:+g} semitones and the accompaniment was not: they are in different keys. "
        "Whole octaves (12, -12) stay in tune."
    ]


def _tags(options: SongOptions, source: str) -> dict[str, str]:
    # Nothing here may depend on when or where it was made: the same song gives the same bytes.
    return {"title": Path(source).stem, "artist": options.voice, "comment": NOTICE, "encoder": "Timbre Studio"}


def _write_sidecar(
    options: SongOptions,
    model: summaries.ModelSummary,
    stems: SongStems,
    sung: Sung,
    mixed: "Mixed",
    target: Path,
    seconds: dict[str, float],
    warnings: list[str],
) -> Path:
    from core.song.mix import METER_S

    # What "newest", "auto" and a relative path meant is part of the record.
    files = {name: str(Path(str(getattr(options, name))).resolve()) for name in stems.files}
    convert = {**options.convert, "model": str(model.path.resolve()), "transpose": sung.record["transpose"]}
    resolved = options.model_copy(
        update={
            **files,
            "convert": convert,
            "separator": stems.separator or options.separator,
            "out": str(target.resolve()),
        }
    )
    sidecar = sidecar_of(target)
    atomic.write_json(
        sidecar,
        {
            "format": SIDECAR_FORMAT,
            "notice": NOTICE,
            "options": resolved.model_dump(),
            "files": stems.files,
            "model_sha256": file_sha256(model.path / _MODEL_FILE),
            "separator": stems.separator,
            "conversion": {key: value for key, value in sung.record.items() if key != "slices"},
            "output": {"name": target.name, "sha256": file_sha256(target)},
            "matched_db": round(mixed.matched_db, 2),
            "limited": mixed.limited,
            "meter_s": METER_S,
            "meters": {name: asdict(getattr(mixed, name)) for name in ("vocals", "accompaniment", "mix")},
            "warnings": warnings,
            "seconds_spent": {name: round(value, 3) for name, value in seconds.items()},
            "created": time.time(),
        },
    )
    return sidecar
