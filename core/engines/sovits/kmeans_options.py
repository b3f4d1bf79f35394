"""What a person chooses for the parts that stand beside a voice model: k-means centres, retrieval index, diffusion
model. Light: no torch here.
"""

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field

from core.training.options import RunOptions


class BesideOptions(RunOptions):
    """Settings that these runs share. Encoder and pitch predictor are those of the voice model."""

    model: str = ""
    """The voice's model that it is for; empty: the newest."""
    probes: int = Field(default=2, ge=1, le=16)
    """Held-out clips that it is measured on; never trained on."""
    holdout: list[str] = Field(default_factory=list)
    """Ids of the clips to hold out; empty: chosen by hash."""
    keep_light: int = Field(default=0, ge=0, le=1000)


_ALONE = {
    "ranks": "one process does it in minutes, several would do the same work",
    "devices": "one process does it in minutes, on the device of the settings",
    "init_from": "it is made of the voice's own recordings alone",
}


class KmeansOptions(BesideOptions):
    """Settings of a run that finds k-means centres of a voice's units."""

    unused: ClassVar[Mapping[str, str]] = _ALONE

    engine: Literal["sovits-kmeans"] = "sovits-kmeans"
    preset: Literal["kmeans"] = "kmeans"
    steps: int = Field(default=300, ge=1)
    """Batches of units that the centres are moved by."""
    save_every_steps: int = Field(default=100, ge=1)
    clusters: int = Field(default=0, ge=0, le=100_000)
    """Centres; 0: 10000 as so-vits-svc, fewer where the recordings are short."""


class IndexOptions(BesideOptions):
    """Settings of a run that collects a voice's units for retrieval."""

    unused: ClassVar[Mapping[str, str]] = _ALONE

    engine: Literal["sovits-index"] = "sovits-index"
    preset: Literal["index"] = "index"
    steps: int = Field(default=300, ge=1)
    """Only where there are too many units: batches of the k-means that thins them."""
    save_every_steps: int = Field(default=100, ge=1)
    most: int = Field(default=200_000, ge=100, le=5_000_000)
    """Units kept as they are; more are thinned to 10000 centres, as so-vits-svc does."""


class DiffusionOptions(BesideOptions):
    """Settings of a run of the shallow diffusion model."""

    engine: Literal["sovits-diffusion"] = "sovits-diffusion"
    preset: Literal["full", "shallow"] = "full"
    """full: it can also make sound from noise (only diffusion); shallow: it learns its last `k_step_max` steps only,
    and is good sooner."""
    steps: int = Field(default=20_000, ge=1)
    save_every_steps: int = Field(default=2000, ge=1)
    k_step_max: int = Field(default=100, ge=1, le=1000)
    """Preset shallow: steps that it learns."""
    seconds: float = Field(default=2.0, ge=0.2, le=20.0)
    """Length of a training segment."""
    layers: int = Field(default=20, ge=1, le=100)
    channels: int = Field(default=512, ge=4, le=4096)
    hidden: int = Field(default=256, ge=4, le=4096)
    use_base: bool = True
    """Start from model_0 of the pretrain folder where it is there and fits."""
