"""What a person chooses for a training run. Light: no torch here, the page and the command line import it."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, model_validator

from core.options import parse

Options = TypeVar("Options", bound="RunOptions")


class RunOptions(BaseModel):
    """Settings that every engine's runs share. Frozen into run.json; any may be set from the page, the command line and
    a job's params. An engine derives its own, with `engine` and defaults for `preset`, and registers them in
    core.training.engines."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    may_change: ClassVar[tuple[str, ...]] = (
        *("steps", "batch_size", "accumulate", "learning_rate", "precision", "compile"),
        *("devices", "ranks", "cluster"),
        *("save_every_steps", "log_every_steps", "probe_every_steps", "measures"),
        *("keep", "keep_every_steps", "keep_light"),
    )
    """Options that a run may go on with another value of; all others are what the run is."""

    unused: ClassVar[Mapping[str, str]] = {}
    """Options that mean nothing to the engine, and why in words: they are refused, and the form does not ask."""

    engine: str
    voice: str = ""
    """Folder name of the voice whose accepted clips are trained on. Required, but not to resume a run."""
    preset: str
    """Which of the engine's sizes or ways; it stands in the run's name."""
    encoder: str = ""
    """Content encoder, a name of core.features.encoders; empty for engines that use none."""
    pitch: str = ""
    """Pitch predictor, a name of core.features.pitch; empty for engines that use none."""
    name: str | None = None
    """Name of the run's folder; None: made of voice, preset and time."""
    steps: int = Field(default=6000, ge=1)
    """Optimiser steps in all, counted from the start of the run (not from a resume)."""
    batch_size: int = Field(default=0, ge=0)
    """Clips (or segments) computed at once; 0: the preset's own."""
    accumulate: int = Field(default=1, ge=1, le=256)
    """Batches whose gradients are added up to one step: a step then learns from batch_size x accumulate clips."""
    learning_rate: float = Field(default=0.0, ge=0.0, le=1.0)
    """Base learning rate of all optimisers; 0: the preset's own."""
    seed: int = Field(default=1234, ge=0, lt=2**63)
    save_every_steps: int = Field(default=500, ge=1)
    log_every_steps: int = Field(default=20, ge=1)
    probe_every_steps: int = Field(default=0, ge=0)
    """Steps between probe renders; 0: with every save."""
    precision: Literal["auto", "fp32", "fp16", "bf16"] = "auto"
    """auto: bf16 where the GPU has it, fp16 on older ones, fp32 on a CPU."""
    measures: bool = True
    """Measure probes beyond their mel distance: level, pitch, and what core.training.measures finds packages for."""
    keep: int = Field(default=2, ge=1, le=100)
    """Newest full checkpoints to keep beside the best and the starred ones."""
    keep_every_steps: int = Field(default=0, ge=0)
    """Full checkpoints whose step is a multiple of this are kept too; 0: none."""
    keep_light: int = Field(default=12, ge=0, le=1000)
    """Light checkpoints to listen to (half precision, no optimiser), spread over the run; 0: none."""
    compile: Literal["off", "on"] = "off"
    """on: torch.compile, where there is a compiler; worth it on a GPU for runs of hours."""
    devices: str = ""
    """GPUs that train together, such as "0,1"; empty: the one of the settings. One process for each."""
    ranks: int = Field(default=0, ge=0, le=1024)
    """Processes that train together, each with batches of its own: a step learns from ranks x batch_size x accumulate
    clips. 0: as many as `devices` names GPUs, or one."""
    cluster: str = ""
    """Address of a Ray cluster's job server that trains it, such as http://head:8265; empty: this machine. The
    workspace must lie on storage that both see at the same path."""
    init_from: str | None = None
    """Path of the weights to start from (strict), such as a model.safetensors or G_*.pth."""
    resume: str | None = None
    """Name of a run to go on with; every option but those of `may_change` is then taken from that run."""

    @model_validator(mode="after")
    def _says_what_it_needs(self) -> Self:
        if not self.voice and not self.resume:
            raise ValueError("choose a voice to train")
        for name, why in self.unused.items():
            if getattr(self, name) != type(self).model_fields[name].default:
                raise ValueError(f"{name} is not used here: {why}")
        return self


class TrainOptions(RunOptions):
    """Settings of a so-vits-svc run."""

    engine: Literal["sovits"] = "sovits"
    preset: Literal["standard", "tiny", "lite"] = "lite"
    encoder: str = "builtin"
    pitch: str = "fcpe"
    segment_frames: int = Field(default=0, ge=0)
    """Frames (512 samples) of one training segment; 0: the preset's own (lite 64; standard and tiny 20)."""
    adversarial_from_step: int = Field(default=-1, ge=-1)
    """Only lite: the step at which the discriminator joins; -1: the recipe's own; a value >= steps: never."""
    probes: int = Field(default=2, ge=1, le=16)
    """Held-out clips that are rendered; never trained on."""
    holdout: list[str] = Field(default_factory=list)
    """Ids of the clips to hold out; empty: chosen by hash, max(probes, 2 %)."""
    use_base: bool = True
    """Presets standard and tiny: start from G_0 and D_0 of the pretrain folder where they are there and fit."""
    init_discriminator: str | None = None
    """Path of the discriminator that goes with `init_from`; None: the one that lies beside it, if any."""
    vol_embedding: bool = False
    """Presets standard and tiny: the model hears loudness, and learns it from clips made louder and softer."""


def checked(model: type[Options], params: dict[str, Any]) -> Options:
    """The options of a mapping.

    Raises:
        BadInput: naming every field that is unknown, missing or out of range.
    """
    return parse(model, params, "training options")


def parse_options(params: dict[str, Any]) -> TrainOptions:
    """Options of a so-vits-svc run. Raises BadInput. `core.training.engines.options_of` knows every engine's."""
    return checked(TrainOptions, params)
