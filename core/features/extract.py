"""From samples to the three features of the generator. Training and conversion both come through here."""

import dataclasses
import hashlib
import json

import numpy as np
import torch
from numpy.typing import NDArray

from core.audio.resample import resample
from core.errors import BadInput, Conflict
from core.features.encoders.base import ContentEncoder
from core.features.pitch.base import PitchPredictor
from core.features.volume import volume

FEATURES_VERSION = 1
"""Raise it when an algorithm here or below changes its output, so that older cached features are left behind."""

_SHORTEST_FOR_ENCODER_S = 0.05  # HuBERT's convolutions look at 25 ms; shorter audio is padded with silence


@dataclasses.dataclass(frozen=True)
class FeatureSpec:
    """All that decides the value of a feature besides the audio.

    Attributes:
        encoder: registry name of the content encoder.
        encoder_fingerprint: its weights, as ``ContentEncoder.fingerprint`` names them.
        pitch: registry name of the pitch predictor.
        rate_hz, hop: the generator's frame grid, samples at ``rate_hz``.
    """

    encoder: str
    encoder_fingerprint: str
    pitch: str
    rate_hz: int = 44100
    hop: int = 512

    @property
    def key(self) -> str:
        """Short hash of the spec: the name of its folder in the cache."""
        text = json.dumps({"version": FEATURES_VERSION, **dataclasses.asdict(self)}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclasses.dataclass(frozen=True)
class Features:
    """What the generator hears of one piece of audio.

    Attributes:
        units: [S, C] float32, S at about 50 a second: see ``core.features.align``.
        f0: [T] float32 Hz, 0 where unvoiced.
        volume: [T] float32 RMS.
    """

    units: torch.Tensor
    f0: torch.Tensor
    volume: torch.Tensor

    @property
    def n_frames(self) -> int:
        """T."""
        return self.f0.shape[0]


def features_of(
    wav: NDArray[np.float32], spec: FeatureSpec, encoder: ContentEncoder, pitch: PitchPredictor
) -> Features:
    """Compute the features of one piece of audio; long audio is for the caller to slice.

    Units are rounded to float16, as the cache keeps them, so that a voice hears at conversion
    exactly what it heard in training.

    Args:
        wav: [N] mono at ``spec.rate_hz``, about -1..1; T = N // ``spec.hop``. May be empty.
        spec: names the encoder and the predictor; it must fit the two given.
        encoder, pitch: built by their registries.

    Returns:
        Features on the CPU.

    Raises:
        BadInput: audio that is not mono or not finite, or an encoder that gives no finite units for it.
        Conflict: ``spec`` names another encoder or predictor.
    """
    if (spec.encoder, spec.encoder_fingerprint, spec.pitch) != (encoder.name, encoder.fingerprint, pitch.name):
        raise Conflict(
            f"These features are of {spec.encoder} ({spec.encoder_fingerprint}) and {spec.pitch}, but "
            f"{encoder.name} ({encoder.fingerprint}) and {pitch.name} are loaded.",
            "Use the encoder that the voice was trained with.",
        )
    if wav.ndim != 1:
        raise BadInput(f"Features want mono audio [N], got shape {wav.shape}.")
    f0 = pitch.predict(wav, spec.rate_hz, spec.hop, wav.size // spec.hop)
    return Features(
        units=units_of(wav, spec.rate_hz, encoder),
        f0=torch.from_numpy(f0),
        volume=torch.from_numpy(volume(wav, spec.hop)),
    )


def units_of(wav: NDArray[np.float32], rate_hz: int, encoder: ContentEncoder) -> torch.Tensor:
    """Units [S, C] of mono wav [N], rounded to float16 and held as float32.

    Raises BadInput where the encoder gives none that are finite.
    """
    if wav.size == 0:
        return torch.zeros(0, encoder.dim)
    audio = resample(wav, rate_hz, encoder.sample_rate_hz)
    missing = max(0, round(_SHORTEST_FOR_ENCODER_S * encoder.sample_rate_hz) - audio.size)
    audio = np.pad(audio, (0, missing))
    units = encoder.encode(torch.from_numpy(np.ascontiguousarray(audio))).half().float()
    if units.ndim != 2 or units.shape[1] != encoder.dim or not units.isfinite().all():
        raise BadInput(f"The encoder {encoder.name} gave no usable units ({tuple(units.shape)}) for this audio.")
    return units
