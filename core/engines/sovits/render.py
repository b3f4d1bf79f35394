"""The steps between a recording and its render: decode to disk, cut, render piece by piece. Memory stays flat."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from core.audio.decode import probe, stream
from core.audio.slicer import Chunk, RmsEnvelope, SliceParams, slice_envelope
from core.engines.sovits.convert_options import ConvertOptions
from core.engines.sovits.dataset import RATE_HZ, align_mode
from core.engines.sovits.export import VoiceModel, load_model
from core.engines.sovits.join import FADE_S, Piece, add_piece, pieces_of
from core.engines.sovits.recipe import HOP
from core.errors import BadInput, Conflict
from core.features.align import align
from core.features.cache import features_of, spec_of
from core.features.pitch import interpolate

if TYPE_CHECKING:
    from core.features.encoders.base import ContentEncoder
    from core.features.pitch import PitchPredictor
    from core.jobs.context import JobContext

_EXTRA_S = 0.05
"""Context beyond `pad_s` that is always there, for the fades."""


@dataclass(frozen=True)
class Tools:
    """What renders a piece."""

    model: VoiceModel
    encoder: "ContentEncoder"
    pitch: "PitchPredictor"
    device: str
    sid: int


@dataclass(frozen=True)
class Source:
    """The decoded recording on disk."""

    audio: NDArray[np.float32]
    chunks: list[Chunk]
    rms: NDArray[np.float64]
    hop_samples: int
    warnings: list[str]


def load_tools(options: ConvertOptions, folder: Path, where: str, ctx: "JobContext") -> Tools:
    """The voice model in `folder` and the encoder that it was trained with, on the device `where`.

    Raises:
        Conflict: the encoder here is not the one of the training.
        ModelFileError, Unavailable, BadInput: a file that does not load, is not there; an unknown speaker or predictor.
    """
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
    return Tools(model, encoder, pitch.create(options.pitch, where), where, _speaker(options, model))


def _speaker(options: ConvertOptions, model: VoiceModel) -> int:
    speakers = model.config.spk
    if options.speaker is None:
        return min(speakers.values())
    if isinstance(options.speaker, str) and options.speaker in speakers:
        return speakers[options.speaker]
    if isinstance(options.speaker, int) and options.speaker in speakers.values():
        return options.speaker
    raise BadInput(f"The model has no speaker {options.speaker!r}.", f"Choose one of {', '.join(speakers)}.")


def decode(source: Path, scratch: Path, options: ConvertOptions, max_hours: float, ctx: "JobContext") -> Source:
    """Decode to 44.1 kHz mono on disk, measuring where it is silent on the way."""
    info = probe(source)
    params = SliceParams(threshold_db=options.slice_db)
    hop = params.hop_samples(RATE_HZ)
    envelope = RmsEnvelope(hop)
    warnings: list[str] = []
    file = scratch / "source.f32"
    with open(file, "wb") as raw:
        for block in stream(source, RATE_HZ, max_hours=max_hours, warnings=warnings):
            raw.write(block.astype(np.float32).tobytes())
            envelope.push(block)
            done = envelope.n_samples / RATE_HZ / info.duration_s if info.duration_s else 0.5
            ctx.progress(min(done, 1.0), "reading")
    if envelope.n_samples == 0:
        raise BadInput(f"{source.name} holds no sound.", "Choose another recording.", where=str(source))
    audio = np.memmap(file, np.float32, "r", shape=(envelope.n_samples,))
    rms = envelope.finish()
    chunks = slice_envelope(rms, audio.size, RATE_HZ, params)
    # The slicer keeps a sound without a pause whole, also when all of it is silent.
    if float(rms.max()) < 10.0 ** (options.slice_db / 20.0):
        chunks = [Chunk(0, audio.size, True)]
    return Source(audio, chunks, rms, hop, warnings)


def render_all(
    options: ConvertOptions,
    tools: Tools,
    recording: Source,
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
    options: ConvertOptions, tools: Tools, audio: NDArray[np.float32], piece: Piece, transpose: float, seed: int
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
    units = align(found.units, length // HOP, align_mode(tools.model.config)).T[None]
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
