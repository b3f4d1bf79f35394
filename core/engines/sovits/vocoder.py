"""openvpi's NSF-HiFi-GAN vocoder: log mel and pitch to a waveform. For shallow diffusion and the enhancer.

Reads the released files of 2022.12 and 2024.02 and fine-tuned ones: `{"generator": tensors}` beside a `config.json`.
The tensors are those of the generator's decoder without a speaker; weight norm may already be folded.
"""

import json
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from torch import Tensor, nn

from core.errors import BadInput, ModelFileError, Unavailable
from core.models.safe_load import load_tensors, strict_load
from core.nn.fast_hifigan import FastNsfHifiGan, supported
from core.nn.hifigan import NsfHifiGan
from core.nn.noise import Noise, as_noise
from core.nn.nsf import FirstFrameHarmonicSource
from core.nn.vocoder_mel import VocoderMel
from core.nn.weight_norm import fold_weight_norm
from core.options import problems


class VocoderConfig(BaseModel):
    """The part of a vocoder's `config.json` that its use needs; training settings in the file are ignored.

    `fmin`, `fmax` in Hz, sizes in samples at `sampling_rate`.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    resblock: Literal["1", "2"] = "1"
    num_mels: int = Field(ge=1)
    upsample_rates: tuple[int, ...]
    upsample_kernel_sizes: tuple[int, ...]
    upsample_initial_channel: int = Field(ge=1)
    resblock_kernel_sizes: tuple[int, ...]
    resblock_dilation_sizes: tuple[tuple[int, ...], ...]
    sampling_rate: int = Field(ge=8000)
    n_fft: int = Field(ge=2)
    win_size: int = Field(ge=2)
    hop_size: int = Field(ge=1)
    fmin: float
    fmax: float
    mini_nsf: bool = False
    discriminator_periods: tuple[Annotated[int, Field(ge=1)], ...] = (2, 3, 5, 7, 11)
    """Samples; what training judges it by."""

    @model_validator(mode="after")
    def _sizes_agree(self) -> "VocoderConfig":
        hop = 1
        for rate in self.upsample_rates:
            hop *= rate
        if hop != self.hop_size:
            raise ValueError(f"hop_size {self.hop_size} is not the product of upsample_rates ({hop})")
        if len(self.upsample_rates) != len(self.upsample_kernel_sizes):
            raise ValueError("upsample_rates and upsample_kernel_sizes differ in length")
        return self


class _Decoder(NsfHifiGan):
    """The decoder with the vocoder's excitation."""

    @staticmethod
    def source(rate_hz: int, hop: int) -> nn.Module:
        return FirstFrameHarmonicSource(rate_hz, hop)


class Vocoder(nn.Module):
    """A vocoder and the mel that it reads.

    `mel` holds the analysis (`VocoderMel`), `decoder` the network; lengths are in frames of `config.hop_size`.
    """

    def __init__(self, config: VocoderConfig) -> None:
        super().__init__()
        if config.mini_nsf:
            raise Unavailable(
                "This vocoder has another source (mini_nsf) than so-vits-svc's models use.",
                "Use the NSF-HiFi-GAN files of 2022.12 or 2024.02.",
            )
        self.config = config
        self.mel = VocoderMel(
            config.sampling_rate,
            config.num_mels,
            config.n_fft,
            config.win_size,
            config.hop_size,
            config.fmin,
            config.fmax,
        )
        self.decoder: NsfHifiGan | FastNsfHifiGan = _Decoder(
            config.num_mels,
            config.upsample_initial_channel,
            config.upsample_rates,
            config.upsample_kernel_sizes,
            config.resblock,
            config.resblock_kernel_sizes,
            config.resblock_dilation_sizes,
            0,
            config.sampling_rate,
        )

    @torch.inference_mode()
    def infer(self, mel: Tensor, f0: Tensor, generator: torch.Generator | Noise | None = None) -> Tensor:
        """Natural-log mel [B, mels, T] and pitch [B, T] in Hz (0 unvoiced) to audio [B, 1, T * hop] in -1..1."""
        return self.decoder(mel, f0, None, as_noise(generator))


def parse_vocoder_config(raw: Any, where: str = "config.json") -> VocoderConfig:
    """Check a decoded vocoder config. Raises BadInput naming every wrong field."""
    try:
        return VocoderConfig.model_validate(raw)
    except ValidationError as err:
        raise BadInput(
            f"{where} is not an NSF-HiFi-GAN config: {problems(err)}",
            "Use the config.json that came with the vocoder.",
            where=where,
        ) from err


def load_vocoder(path: Path, config_path: Path | None = None, device: str = "cpu") -> Vocoder:
    """The vocoder of `path` (the file called `model`, or .ckpt, .pt, .safetensors), ready for inference.

    `config_path`: its config; None: the `config.json` beside it. Raises BadInput for the config and ModelFileError for
    the weights.
    """
    vocoder = Vocoder(read_vocoder_config(config_path or path.with_name("config.json")))
    load_decoder(vocoder, path)
    return prepare_vocoder(vocoder, device)


def read_vocoder_config(config_path: Path) -> VocoderConfig:
    """A vocoder's `config.json`. Raises BadInput."""
    try:
        raw = json.loads(config_path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as err:
        raise BadInput(
            f"The vocoder's config {config_path} cannot be read: {err}",
            "Put the config.json that came with the vocoder beside its file.",
            where=str(config_path),
        ) from err
    return parse_vocoder_config(raw, str(config_path))


def load_decoder(vocoder: Vocoder, path: Path) -> None:
    """Put the weights of a file into the decoder, strictly; its weight norm is folded where the file's is.

    Raises ModelFileError.
    """
    tensors = load_tensors(path)
    if any(name.startswith("emb_g.") for name in tensors):
        raise ModelFileError(
            f"{path.name} is a voice model, not a vocoder.", "Choose the NSF-HiFi-GAN file.", where=str(path)
        )
    if not any(name.endswith("weight_g") for name in tensors):
        fold_weight_norm(vocoder.decoder)
    strict_load(vocoder.decoder, tensors, str(path))


def prepare_vocoder(vocoder: Vocoder, device: str = "cpu") -> Vocoder:
    """Fold weight norm and, for a CPU, rearrange the decoder; in place. The output stays the same to about 1e-5."""
    vocoder.eval().requires_grad_(False)
    fold_weight_norm(vocoder)
    if device == "cpu" and isinstance(vocoder.decoder, NsfHifiGan) and supported():
        vocoder.decoder = FastNsfHifiGan(vocoder.decoder)
    return vocoder.to(device)
