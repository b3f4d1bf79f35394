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
from core.engines.sovits.convert_tools import Tools
from core.engines.sovits.dataset import RATE_HZ, align_mode
from core.engines.sovits.enhancer import enhance
from core.engines.sovits.join import FADE_S, Piece, add_piece, clips_of, pieces_of
from core.engines.sovits.pitch_track import Track
from core.engines.sovits.recipe import HOP
from core.errors import BadInput
from core.features.align import align
from core.features.extract import units_of
from core.features.pitch import interpolate
from core.features.volume import volume

if TYPE_CHECKING:
    from core.jobs.context import JobContext

_EXTRA_S = 0.05
"""Context beyond `pad_s` that is always there, for the fades."""


@dataclass(frozen=True)
class Source:
    """The decoded recording on disk."""

    audio: NDArray[np.float32]
    chunks: list[Chunk]
    rms: NDArray[np.float64]
    hop_samples: int
    warnings: list[str]


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
    pieces = _pieces(options, recording)
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


def _pieces(options: ConvertOptions, recording: Source) -> list[Piece]:
    if options.clip_s:
        clip, overlap = (round(x * RATE_HZ) for x in (options.clip_s, options.crossfade_s))
        return clips_of(recording.chunks, clip, overlap, options.crossfade_keep)
    return pieces_of(recording.chunks, recording.rms, recording.hop_samples, round(options.max_slice_s * RATE_HZ))


def _render(
    options: ConvertOptions, tools: Tools, audio: NDArray[np.float32], piece: Piece, transpose: float, seed: int
) -> tuple[NDArray[np.float32], int, float | None]:
    """(render with context, samples of context before the piece, median pitch asked for in Hz)."""
    lead = max(round((options.pad_s + _EXTRA_S) * RATE_HZ), (piece.rise or 0) // 2 + 1, (piece.fall or 0) // 2 + 1)
    length = piece.end - piece.start + 2 * lead
    length += -length % HOP
    wav = np.zeros(length, np.float32)
    first, last = piece.start - lead, piece.start - lead + length
    inner = slice(max(0, first), min(audio.size, last))
    wav[inner.start - first : inner.stop - first] = audio[inner]

    at_s = (first + (np.arange(length // HOP) + 0.5) * HOP) / RATE_HZ
    samples, f0_hz, uv = render_window(options, tools, wav, transpose, seed, at_s=at_s, duration_s=audio.size / RATE_HZ)
    voiced = f0_hz[uv > 0]
    median = round(float(np.median(voiced)), 2) if voiced.size else None
    if not np.isfinite(samples).all():
        raise BadInput(
            f"The voice rendered values that are not numbers at {piece.start / RATE_HZ:.1f} s.",
            "Use another checkpoint of the voice.",
            where=str(tools.model.folder),
        )
    return samples, lead, median


def render_window(
    options: ConvertOptions,
    tools: Tools,
    wav: NDArray[np.float32],
    transpose: float,
    seed: int,
    *,
    at_s: NDArray[np.float64],
    duration_s: float,
    skip_frames: int = 0,
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Render one window of sound with nothing around it.

    Args:
        options, tools: what with.
        wav: [T * HOP] at 44.1 kHz.
        transpose: semitones.
        seed: of the noise.
        at_s: [T], where in the recording the middle of each frame lies, for what follows a curve over time.
        duration_s: of the recording.
        skip_frames: frames at the beginning that are heard (content, pitch) but not rendered.

    Returns:
        Samples [(T - skip_frames) * HOP]; pitch asked for (Hz, interpolated) and voicing of the rendered frames.
    """
    if isinstance(tools.pitch, Track):
        found_f0 = tools.pitch.at(at_s)
    else:
        found_f0 = tools.pitch.predict(wav, RATE_HZ, HOP, wav.size // HOP)
    f0_hz, uv = interpolate(found_f0)
    f0_hz = (f0_hz * 2.0 ** (transpose / 12.0)).astype(np.float32)[skip_frames:]
    uv = uv[skip_frames:]
    units = _units(tools, wav, RATE_HZ)
    if tools.blend is not None:
        units = tools.blend(units)
    loudness = volume(wav, HOP, not tools.model.as_latest)[skip_frames:]
    inputs = Inputs(
        units=units[None, skip_frames:].to(tools.device),
        f0=torch.from_numpy(f0_hz)[None].to(tools.device),
        uv=torch.from_numpy(uv)[None].to(tools.device),
        volume=torch.from_numpy(loudness)[None].to(tools.device),
        speaker=_speaker_input(tools, at_s[skip_frames:], duration_s),
    )
    return _synthesise(options, tools, inputs, seed), f0_hz, uv


@dataclass(frozen=True)
class Inputs:
    """What the models hear of a piece, on their device: T frames of 512 samples."""

    units: torch.Tensor  # [1, T, C]
    f0: torch.Tensor  # [1, T] Hz, interpolated
    uv: torch.Tensor  # [1, T] 1 where voiced
    volume: torch.Tensor  # [1, T]
    speaker: torch.Tensor  # int64 [1], or weights [1, T, S]


def _units(tools: Tools, wav: NDArray[np.float32], rate_hz: int) -> torch.Tensor:
    """Units [T, C] of wav [N], on the generator's frames."""
    return align(units_of(wav, rate_hz, tools.encoder), wav.size // HOP, align_mode(tools.model.config))


def _speaker_input(tools: Tools, at_s: NDArray[np.float64], duration_s: float) -> torch.Tensor:
    if tools.mix is None:
        return torch.tensor([tools.sid], device=tools.device)
    weights = tools.mix.weights(at_s.clip(0, duration_s), duration_s, tools.model.config.spk)
    return torch.from_numpy(weights)[None].to(tools.device)


@torch.inference_mode()
def _synthesise(options: ConvertOptions, tools: Tools, inputs: Inputs, seed: int) -> NDArray[np.float32]:
    """Audio [T * 512] of a piece: the voice model, then diffusion or the enhancer; or diffusion alone."""
    noise = torch.Generator(device=tools.device).manual_seed(seed)
    audio, f0, units, loudness = None, inputs.f0, inputs.units, inputs.volume
    if options.diffusion != "only":
        rendered, f0 = tools.model.generator.infer(  # type: ignore[operator]
            inputs.units.transpose(1, 2).contiguous(),
            inputs.f0,
            inputs.uv,
            inputs.speaker,
            inputs.volume,
            noise_scale=options.noise_scale,
            predict_f0=options.predict_f0,
            generator=noise,
        )
        audio = rendered[:, 0].float()
    if tools.diffuser is None:
        assert audio is not None
        made: NDArray[np.float32] = audio[0].cpu().numpy()
        if tools.enhancer is None:
            return made
        return enhance(made, RATE_HZ, f0[0].cpu().numpy(), HOP / RATE_HZ, tools.enhancer, options.enhancer_key, noise)
    if audio is not None:
        heard = audio[0].cpu().numpy()
        if options.second_encoding:
            units = _units(tools, heard, RATE_HZ)[None].to(tools.device)
        if not tools.model.config.model.vol_embedding:  # else 4.1 keeps the loudness that the voice model heard
            loudness = torch.from_numpy(volume(heard, HOP, not tools.model.as_latest))[None].to(tools.device)
    diffused = tools.diffuser.render(units, f0, loudness, inputs.speaker, audio, noise)
    return diffused[0, 0].float().cpu().numpy()
