"""What a conversion works with: the voice model, its encoder, and what else the options ask for, loaded and checked."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

from core.engines.sovits.convert_blend import Blend, load_bank
from core.engines.sovits.convert_diffusion import Diffuser, load_diffuser
from core.engines.sovits.convert_files import Companions, find_companions
from core.engines.sovits.convert_options import ConvertOptions, Shares
from core.engines.sovits.dataset import RATE_HZ
from core.engines.sovits.export import VoiceModel, load_model
from core.engines.sovits.mix_curves import Mix, mix_of, read_mix
from core.engines.sovits.pitch_track import Track, read_track
from core.engines.sovits.recipe import HOP
from core.engines.sovits.vocoder import Vocoder, load_vocoder
from core.errors import BadInput, Conflict

if TYPE_CHECKING:
    from core.features.encoders.base import ContentEncoder
    from core.features.pitch import PitchPredictor
    from core.jobs.context import JobContext


@dataclass(frozen=True)
class Tools:
    """What renders a piece. The last five are there where the options ask for them."""

    model: VoiceModel
    encoder: "ContentEncoder"
    pitch: "PitchPredictor | Track"
    device: str
    sid: int
    companions: Companions
    blend: Blend | None = None
    mix: Mix | None = None
    diffuser: Diffuser | None = None
    enhancer: Vocoder | None = None


def load_tools(options: ConvertOptions, folder: Path, where: str, ctx: "JobContext") -> Tools:
    """The voice model in `folder`, the encoder that it was trained with, and what else the options need.

    Raises:
        Conflict: the encoder here is not the one of the training, or files do not belong together.
        ModelFileError, Unavailable, NotFound, BadInput: a file that does not load or is not there; an unknown speaker
            or predictor; something that this model cannot do.
    """
    from core.features import encoders, pitch

    companions = find_companions(options, folder, ctx.settings)
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
    if options.predict_f0 and not getattr(model.generator, "predicts_f0", False):
        raise BadInput(
            "This model cannot make a melody of its own.",
            "Switch automatic pitch off, or use a model that was trained with it.",
            where="predict_f0",
        )
    sid = _speaker(options, model)
    mix = _mix(options, companions, model)
    track = companions.get("f0_file")
    tools = Tools(
        model,
        encoder,
        read_track(track)
        if track
        else pitch.create(options.pitch, where, threshold=options.f0_threshold, settings=ctx.settings),
        where,
        sid,
        companions,
        # As in 4.1: a bank belongs to one speaker.
        None if mix else _blend(options, companions, model, sid, where),
        mix,
    )
    return _with_vocoder(options, tools)


def _blend(options: ConvertOptions, companions: Companions, model: VoiceModel, sid: int, where: str) -> Blend | None:
    file = companions.get("blend_file")
    if file is None:
        return None
    speaker = next(name for name, row in model.config.spk.items() if row == sid)
    bank = load_bank(file, speaker, sid, model.config.model.ssl_dim)
    return Blend(bank.to(where), options.blend, options.blend_by)


def _mix(options: ConvertOptions, companions: Companions, model: VoiceModel) -> Mix | None:
    if options.speaker_mix is None:
        return None
    file = companions.get("speaker_mix")
    mix = read_mix(file) if file else mix_of(cast(Shares, options.speaker_mix))
    mix.rows(model.config.spk)
    return mix


def _with_vocoder(options: ConvertOptions, tools: Tools) -> Tools:
    """The same with the diffusion model or the enhancer, where asked for."""
    file = tools.companions.get("vocoder")
    if file is None:
        return tools
    vocoder = load_vocoder(file, device=tools.device)
    if (vocoder.config.sampling_rate, vocoder.config.hop_size) != (RATE_HZ, HOP):
        raise Conflict(
            f"The vocoder {file.name} works at {vocoder.config.sampling_rate} Hz in steps of "
            f"{vocoder.config.hop_size} samples, the voice at {RATE_HZ} Hz in steps of {HOP}.",
            "Use the NSF-HiFi-GAN files of 2022.12 or 2024.02.",
            where=str(file),
        )
    if options.diffusion == "off":
        return replace(tools, enhancer=vocoder)
    model_file, config_file = (tools.companions.files[f"diffusion_{part}"] for part in ("model", "config"))
    diffuser = load_diffuser(
        model_file,
        config_file,
        vocoder,
        device=tools.device,
        n_units=tools.model.config.model.ssl_dim,
        mode=options.diffusion,
        k_step=options.k_step,
        method=options.sampler,
        speedup=options.speedup,
    )
    rows = max(tools.model.config.spk.values()) + 1
    known = diffuser.model.sizes.n_speakers
    if 1 < known < rows:
        raise Conflict(
            f"The diffusion model {model_file.name} knows {known} speakers, the voice model {rows}.",
            "Choose the one that was trained with this voice model.",
            where=str(model_file),
        )
    return replace(tools, diffuser=diffuser)


def _speaker(options: ConvertOptions, model: VoiceModel) -> int:
    speakers = model.config.spk
    if options.speaker is None:
        return min(speakers.values())
    if isinstance(options.speaker, str) and options.speaker in speakers:
        return speakers[options.speaker]
    row = int(options.speaker) if str(options.speaker).isdecimal() else -1
    if row in speakers.values():
        return row
    raise BadInput(f"The model has no speaker {options.speaker!r}.", f"Choose one of {', '.join(speakers)}.")
