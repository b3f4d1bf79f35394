"""Diffusion in a conversion: the diffusion model with its config, and the vocoder that its mel goes through.

What the file's shapes tell is taken from them; `config.yaml` gives what they cannot: the steps it was trained for, its
sampler and speed-up, its speakers, and whether its vocoder reads log10.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from torch import Tensor

from core.engines.sovits.anatomy import kind_of
from core.engines.sovits.diffusion.model import METHODS, DiffusionSizes, Unit2Mel
from core.engines.sovits.vocoder import Vocoder
from core.errors import BadInput, Conflict, ModelFileError
from core.models.safe_load import load_tensors, strict_load
from core.nn.noise import Noise, as_noise
from core.options import problems

LOG10 = "nsf-hifigan-log10"
_LAYERS = "decoder.denoise_fn.residual_layers."


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class _Model(_Part):
    k_step_max: int | None = Field(default=0, ge=0)
    use_pitch_aug: bool | None = False


class _Infer(_Part):
    speedup: int | None = Field(default=10, ge=1)
    method: str | None = "dpm-solver++"


class _Data(_Part):
    encoder_out_channels: int | None = None
    block_size: int | None = 512
    sampling_rate: int | None = 44100


class _VocoderPart(_Part):
    type: str | None = "nsf-hifigan"


class DiffusionConfig(_Part):
    """The part of `diffusion.yaml` that its use needs (spec/so_vits_svc.md, section 1.5)."""

    model: _Model = _Model()
    infer: _Infer = _Infer()
    data: _Data = _Data()
    vocoder: _VocoderPart = _VocoderPart()
    spk: dict[str, int] = Field(default_factory=dict)


def read_config(path: Path) -> DiffusionConfig:
    """The config of a diffusion model. YAML is data: a tag is an error. Raises BadInput naming what is wrong."""
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
        return DiffusionConfig.model_validate(raw or {})
    except (OSError, UnicodeDecodeError, yaml.YAMLError, ValidationError) as err:
        said = problems(err) if isinstance(err, ValidationError) else " ".join(str(err).split())[:200]
        raise BadInput(
            f"{path.name} is no diffusion config: {said}.",
            "Use the config.yaml that was saved beside the diffusion model.",
            where=str(path),
        ) from err


def sizes_of(tensors: dict[str, Tensor], config: DiffusionConfig, where: str) -> DiffusionSizes:
    """What a file was built from, by its shapes. Raises ModelFileError where it is no diffusion model."""
    if kind_of({name: tuple(x.shape) for name, x in tensors.items()}) != "diffusion":
        raise ModelFileError(
            f"{Path(where).name} is no diffusion model of so-vits-svc.", "Choose model_*.pt.", where=where
        )
    try:
        n_hidden, n_units = tensors["unit_embed.weight"].shape
        channels, n_mels, _ = tensors["decoder.denoise_fn.input_projection.weight"].shape
        n_steps = tensors["decoder.betas"].numel()
    except (KeyError, ValueError) as err:
        raise ModelFileError(f"{Path(where).name} is a damaged diffusion model: {err}.", "", where=where) from err
    speakers = tensors.get("spk_embed.weight")
    return DiffusionSizes(
        n_units=n_units,
        n_speakers=1 if speakers is None else speakers.shape[0],
        pitch_augmentation="aug_shift_embed.weight" in tensors,
        n_mels=n_mels,
        n_layers=len({name.split(".")[3] for name in tensors if name.startswith(_LAYERS)}),
        n_channels=channels,
        n_hidden=n_hidden,
        n_steps=n_steps,
        k_step_max=config.model.k_step_max or 0,
    )


@dataclass(frozen=True)
class Diffuser:
    """Makes audio from units, pitch and volume, from noise or from another model's audio."""

    model: Unit2Mel
    vocoder: Vocoder
    config: DiffusionConfig
    k_step: int
    method: str
    speedup: int

    def render(
        self,
        units: Tensor,
        f0: Tensor,
        volume: Tensor,
        speaker: Tensor,
        audio: Tensor | None,
        generator: torch.Generator | Noise,
        progress: Callable[[float], None] = lambda _share: None,
    ) -> Tensor:
        """Audio [B, 1, T * 512].

        units [B, T, C], f0 [B, T] Hz, volume [B, T], speaker ids [B] or shares [B, T, S]. `audio` [B, N]: what the
        voice model made, of which the mel is refined; None: from noise alone.
        """
        noise = as_noise(generator)
        mel = None
        if audio is not None:
            mel = self.vocoder.mel(audio).transpose(1, 2)[:, : units.shape[1]]
        condition = self.model.condition(units, f0, volume, speaker if self.model.sizes.n_speakers > 1 else None)
        made = self.model.sample(
            condition,
            mel,
            k_step=self.k_step,
            speedup=self.speedup,
            method=self.method,
            generator=noise,
            progress=progress,
        )
        if self.config.vocoder.type == LOG10:
            made = made / math.log(10.0)
        return self.vocoder.infer(made.transpose(1, 2), f0, noise)


def load_diffuser(
    path: Path,
    config_path: Path,
    vocoder: Vocoder,
    *,
    device: str,
    n_units: int,
    mode: Literal["shallow", "only"],
    k_step: int,
    method: str | None,
    speedup: int | None,
) -> Diffuser:
    """The diffusion model of `path`, loaded strictly, with what it will do checked before any work.

    Raises ModelFileError, BadInput (steps it was not trained for, an unknown sampler), Conflict (another encoder's
    units, another vocoder's mel).
    """
    config = read_config(config_path)
    tensors = load_tensors(path)
    sizes = sizes_of(tensors, config, str(path))
    if sizes.n_units != n_units:
        raise Conflict(
            f"The diffusion model {path.name} expects units of {sizes.n_units} values, the voice model's have "
            f"{n_units}.",
            "Choose the one that was trained with the same content encoder.",
            where=str(path),
        )
    if (sizes.n_mels, config.data.block_size or 512) != (vocoder.config.num_mels, vocoder.config.hop_size):
        raise Conflict(
            f"The diffusion model makes {sizes.n_mels} mels, the vocoder reads {vocoder.config.num_mels} every "
            f"{vocoder.config.hop_size} samples.",
            "Choose the vocoder that it was trained with.",
            where=str(path),
        )
    model = Unit2Mel(sizes)
    strict_load(model, {name: x.float() if x.is_floating_point() else x for name, x in tensors.items()}, str(path))
    method = method or config.infer.method or "dpm-solver++"
    if method not in METHODS:
        raise BadInput(f"There is no sampler {method!r}.", f"Use one of {', '.join(METHODS)}.", where="sampler")
    steps = k_step if mode == "shallow" else sizes.n_steps
    wanted = speedup or config.infer.speedup or 10
    if speedup is None:  # the config's is for its own number of steps
        wanted = min(wanted, steps)
    model.check_steps(k_step if mode == "shallow" else None, wanted, method)
    return Diffuser(model.eval().requires_grad_(False).to(device), vocoder, config, k_step, method, wanted)
