"""The conversion job: a recording of any length in, the same in a trained voice out."""

import contextlib
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from core import atomic
from core import device as devices
from core.audio.decode import probe, stream
from core.audio.encode import write_audio
from core.audio.slicer import Chunk, RmsEnvelope, SliceParams, slice_envelope
from core.engines.sovits import convert_options
from core.engines.sovits.convert_options import ConvertOptions, options_from_sidecar, sidecar_of
from core.engines.sovits.dataset import RATE_HZ
from core.engines.sovits.export import MODEL_FILE, VoiceModel, load_model, voice_models
from core.engines.sovits.join import FADE_S, Piece, add_piece, follow_loudness, limit_peaks, pieces_of
from core.engines.sovits.recipe import HOP
from core.errors import BadInput, Conflict, NotFound, is_no_space, no_space
from core.features.align import align
from core.features.cache import features_of, spec_of
from core.features.pitch import interpolate
from core.paths import inside, safe_name, unique_path

if TYPE_CHECKING:
    from core.dataset.voices import Voice
    from core.features.encoders.base import ContentEncoder
    from core.features.pitch import PitchPredictor
    from core.jobs.context import JobContext

__all__ = ["options_from_sidecar", "run_convert", "suggest_transpose"]

NOTICE = "Synthetic voice made with Timbre Studio. Not a recording of this person."
_EXTRA_S = 0.05
"""Context beyond `pad_s` that is always there, for the fades."""


@dataclass(frozen=True)
class _Tools:
    """What renders a piece."""

    model: VoiceModel
    encoder: "ContentEncoder"
    pitch: "PitchPredictor"
    device: str
    sid: int


@dataclass(frozen=True)
class _Source:
    """The decoded recording on disk."""

    audio: NDArray[np.float32]
    chunks: list[Chunk]
    rms: NDArray[np.float64]
    hop_samples: int
    warnings: list[str]


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
    settings = ctx.settings
    began = time.monotonic()
    source = Path(options.source)
    if not source.is_file():
        raise BadInput(f"There is no file {source} to convert.", "Choose an audio file.", where=str(source))
    from core.dataset.voices import VoiceStore

    voice = VoiceStore(settings.voices_dir).get(options.voice)
    folder = find_model(voice, options.model)
    target = _target(options, settings.outputs)
    where = devices.pick(settings.device)
    torch.set_num_threads(devices.threads(settings.threads))
    ctx.progress(0.0, "loading the voice")
    tools = _load_tools(options, folder, where, ctx)
    with _scratch(settings.cache_dir) as scratch:
        recording = _decode(source, scratch, options, settings.max_decode_hours, ctx.sub(0.02, 0.15))
        transpose, medians = _transpose(options, source, tools.model)
        out = _scratch_array(scratch / "out.f32", recording.audio.size)
        table = _render_all(options, tools, recording, transpose, out, ctx.sub(0.15, 0.93))
        follow_loudness(out, recording.audio, RATE_HZ, options.loudness_envelope)
        limited = limit_peaks(out, RATE_HZ)
        ctx.progress(0.95, "writing")
        write_audio(target, out, RATE_HZ, options.format, _tags(options, source))
        seconds = recording.audio.size / RATE_HZ
    spent = time.monotonic() - began
    figures = {"transpose": transpose, **medians, "limited": limited, "slices": table, "duration_s": seconds}
    warnings = recording.warnings + _remarks(table)
    sidecar = _write_sidecar(options, source, target, tools, figures, warnings, spent)
    return {
        "output": str(target),
        "sidecar": str(sidecar),
        "duration_s": seconds,
        "rtf": spent / max(seconds, 1e-9),
        "transpose": transpose,
        "model": str(folder),
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


def _load_tools(options: ConvertOptions, folder: Path, where: str, ctx: "JobContext") -> _Tools:
    from core.features import encoders, pitch

    model = load_model(folder, where)
    name = str(model.card.get("encoder") or model.config.model.speech_encoder)
    encoder = encoders.create(name, where, ctx.settings)
    trained_with = model.card.get("encoder_fingerprint")
    if trained_with and trained_with != encoder.fingerprint:
        raise Conflict(
            f"The voice was trained with another version of the encoder '{name}'.",
            "Put back the encoder's files of that time, or train the voice again.",
            where=str(folder),
        )
    if encoder.dim != model.config.model.ssl_dim:
        raise Conflict(
            f"The voice expects units of {model.config.model.ssl_dim} values, '{name}' gives {encoder.dim}.",
            "Use the encoder that the voice was trained with.",
            where=str(folder),
        )
    return _Tools(model, encoder, pitch.create(options.pitch, where), where, _speaker(options, model))


def _speaker(options: ConvertOptions, model: VoiceModel) -> int:
    speakers = model.config.spk
    if options.speaker is None:
        return min(speakers.values())
    if isinstance(options.speaker, str) and options.speaker in speakers:
        return speakers[options.speaker]
    if isinstance(options.speaker, int) and options.speaker in speakers.values():
        return options.speaker
    raise BadInput(f"The model has no speaker {options.speaker!r}.", f"Choose one of {', '.join(speakers)}.")


@contextlib.contextmanager
def _scratch(cache_dir: Path) -> Iterator[Path]:
    """A folder that is gone afterwards, whatever happens. A full disk becomes a NoSpace."""
    cache_dir.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(prefix="convert-", dir=cache_dir, ignore_cleanup_errors=True) as name:
            yield Path(name)
    except OSError as err:
        if is_no_space(err):
            raise no_space(err, None, cache_dir) from err
        raise


def _scratch_array(path: Path, n_samples: int) -> NDArray[np.float32]:
    """Zeros [n_samples] in a file, so that an hour of sound does not stay in memory."""
    return np.memmap(path, np.float32, "w+", shape=(n_samples,))


def _decode(source: Path, scratch: Path, options: ConvertOptions, max_hours: float, ctx: "JobContext") -> _Source:
    """Decode to 44.1 kHz mono on disk, measuring where it is silent on the way."""
    info = probe(source)
    params = SliceParams(threshold_db=options.slice_db)
    hop = params.hop_samples(RATE_HZ)
    envelope = RmsEnvelope(hop)
    warnings: list[str] = []
    file = scratch / "source.f32"
    with open(file, "wb") as raw:
        for block in stream(source, RATE_HZ, max_hours=max_hours, warnings=warnings):
            raw.write(np.ascontiguousarray(block, np.float32))
            envelope.push(block)
            done = envelope.n_samples / RATE_HZ / info.duration_s if info.duration_s else 0.5
            ctx.progress(min(done, 1.0), "reading")
    if envelope.n_samples == 0:
        raise BadInput(f"{source.name} holds no sound.", "Choose another recording.", where=str(source))
    audio = np.memmap(file, np.float32, "r", shape=(envelope.n_samples,))
    rms = envelope.finish()
    chunks = slice_envelope(rms, audio.size, RATE_HZ, params)
    if float(rms.max()) < 10.0 ** (options.slice_db / 20.0):
        chunks = [
            Chunk(0, audio.size, True)
        ]  # the slicer keeps sound without a pause whole, also when it is all silent
    return _Source(audio, chunks, rms, hop, warnings)


def _transpose(options: ConvertOptions, source: Path, model: VoiceModel) -> tuple[float, dict[str, Any]]:
    if options.transpose != "auto":
        return float(options.transpose), {}
    from core.key import suggest_key

    target = model.card.get("f0_median")
    found = suggest_key(source, float(target) if target else None)
    medians = {"source_f0_median": found.source_median_hz, "target_f0_median": found.target_median_hz}
    return float(found.semitones), medians


# ---- rendering


def _render_all(
    options: ConvertOptions,
    tools: _Tools,
    recording: _Source,
    transpose: float,
    out: NDArray[np.float32],
    ctx: "JobContext",
) -> list[dict[str, Any]]:
    """Render every piece into `out`; a row a piece for the sidecar."""
    longest = round(options.max_slice_s * RATE_HZ)
    pieces = pieces_of(recording.chunks, recording.rms, recording.hop_samples, longest)
    total = max(1, sum(p.end - p.start for p in pieces if not p.silent))
    fade = 2 * round(FADE_S * RATE_HZ / 2)
    done = 0
    table: list[dict[str, Any]] = []
    for index, piece in enumerate(pieces):
        ctx.progress(done / total, f"slice {index + 1} of {len(pieces)}")
        row: dict[str, Any] = {
            "start_s": piece.start / RATE_HZ,
            "end_s": piece.end / RATE_HZ,
            "silent": piece.silent,
        }
        if not piece.silent:
            seed = options.seed + index
            rendered, lead, median = _render(options, tools, recording.audio, piece, transpose, seed)
            add_piece(out, piece, rendered, lead, fade)
            done += piece.end - piece.start
            row |= {"seed": seed, "f0_median": median}
        table.append(row)
    return table


def _render(
    options: ConvertOptions, tools: _Tools, audio: NDArray[np.float32], piece: Piece, transpose: float, seed: int
) -> tuple[NDArray[np.float32], int, float | None]:
    """(render with context, samples of context before the piece, median pitch asked for in Hz)."""
    lead = round((options.pad_s + _EXTRA_S) * RATE_HZ)
    length = piece.end - piece.start + 2 * lead
    length += -length % HOP
    wav = np.zeros(length, np.float32)
    first, last = piece.start - lead, piece.start - lead + length
    inner = slice(max(0, first), min(audio.size, last))
    wav[inner.start - first : inner.stop - first] = audio[inner]

    found = features_of(wav, spec_of(tools.encoder, tools.pitch.name), tools.encoder, tools.pitch)
    f0_hz, uv = interpolate(found.f0.numpy())
    f0_hz = (f0_hz * 2.0 ** (transpose / 12.0)).astype(np.float32)
    mode: Any = tools.model.config.data.unit_interpolate_mode
    units = align(found.units, length // HOP, mode).T[None]
    with torch.inference_mode():
        rendered, _ = tools.model.generator.infer(  # type: ignore[operator]
            units.contiguous().to(tools.device),
            torch.from_numpy(f0_hz)[None].to(tools.device),
            torch.from_numpy(uv)[None].to(tools.device),
            torch.tensor([tools.sid], device=tools.device),
            found.volume[None].to(tools.device),
            noise_scale=options.noise_scale,
            predict_f0=options.predict_f0,
            generator=torch.Generator(device=tools.device).manual_seed(seed),
        )
    voiced = f0_hz[uv > 0]
    median = round(float(np.median(voiced)), 2) if voiced.size else None
    samples = rendered[0, 0].float().cpu().numpy()
    if not np.isfinite(samples).all():
        raise BadInput(
            f"The voice rendered values that are not numbers at {piece.start / RATE_HZ:.1f} s.",
            "Use another checkpoint of the voice.",
            where=str(tools.model.folder),
        )
    return samples, lead, median


# ---- after rendering


def _remarks(table: list[dict[str, Any]]) -> list[str]:
    if all(row["silent"] for row in table):
        return ["The recording is silent throughout, so the result is too. A lower slice_db finds quieter voices."]
    return []


def _tags(options: ConvertOptions, source: Path) -> dict[str, str]:
    # Nothing here may depend on when or where it was made: the same conversion gives the same bytes.
    return {"title": source.stem, "artist": options.voice, "comment": NOTICE, "encoder": "Timbre Studio"}


def _write_sidecar(
    options: ConvertOptions,
    source: Path,
    target: Path,
    tools: _Tools,
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
