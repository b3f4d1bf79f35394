"""The interface between the training loop and a family of generators.

The training loop drives: batches, devices, mixed precision, optimisers, schedules, gradient norms, logging,
probes, saving, resuming, stopping. A `Recipe` supplies what differs between families: which modules there are, how a
batch is made ready, what the generator is run on, and the losses. One recipe object lives for one run.

Families: `core.engines.sovits.vits_recipe.VitsRecipe` (presets standard and tiny) and
`core.engines.sovits.lite_recipe.LiteRecipe` (preset lite); `core.engines.sovits.vocoder_learner.VocoderRecipe`, which
trains a vocoder.

Order of one training step, driven by `core.engines.sovits.learner`::

    batch = recipe.prepare_batch(batch)                     # on the device, no gradients, float32
    with autocast:
        outputs = recipe.forward(batch, step)               # one generator pass, with gradients
    d = recipe.discriminator_losses(batch, outputs, step)   # None: no discriminator yet; else backward, step D
    g = recipe.generator_losses(batch, outputs, step)       # sees the updated discriminator; backward, step G

Where gradients are accumulated, the discriminator first sees every part of the step's batch (its audio made without
gradients), then the generator is run on each part again: the same update as of one large batch, in less memory.

Randomness: a recipe draws only from torch's default generators, which the learner seeds for every part of every step
(their state is saved with every checkpoint all the same), so that a resumed run repeats the uninterrupted one bit for
bit on a CPU. A recipe keeps no other state that changes over steps: what depends on progress is computed from `step`.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field, fields
from typing import Any

import torch
from torch import Tensor, nn

from core.engines.sovits.config import SovitsConfig

HOP = 512


@dataclass(frozen=True)
class Batch:
    """Clips, or segments of clips, cut and padded to one length. T frames of `HOP` samples at 44.1 kHz.

    `extra` holds what a recipe's `prepare_batch` adds (spectrograms, masks, ...), by name.
    """

    units: Tensor
    """[B, C, T] float32, content units already aligned to frames; zeros in the padding."""
    f0_hz: Tensor
    """[B, T] float32, interpolated across unvoiced frames; zeros in the padding."""
    uv: Tensor
    """[B, T] float32, 1 voiced, 0 unvoiced; zeros in the padding."""
    volume: Tensor
    """[B, T] float32, RMS per frame; zeros in the padding."""
    audio: Tensor
    """[B, 1, T * HOP] float32 within [-1, 1]; zeros in the padding."""
    lengths: Tensor
    """[B] int64, frames that are not padding, >= 1."""
    sid: Tensor
    """[B] int64 speaker ids."""
    extra: dict[str, Tensor] = field(default_factory=dict)

    def to(self, device: torch.device | str) -> "Batch":
        """The same batch on `device`; copies from pinned memory do not wait."""
        moved: dict[str, Any] = {
            f.name: getattr(self, f.name).to(device, non_blocking=True) for f in fields(self) if f.name != "extra"
        }
        return Batch(**moved, extra={k: v.to(device, non_blocking=True) for k, v in self.extra.items()})

    def pin(self) -> "Batch":
        """The same batch in page-locked memory (only where CUDA is present)."""
        pinned: dict[str, Any] = {f.name: getattr(self, f.name).pin_memory() for f in fields(self) if f.name != "extra"}
        return Batch(**pinned, extra={k: v.pin_memory() for k, v in self.extra.items()})

    @property
    def mask(self) -> Tensor:
        """[B, 1, T] float32: 1 where a frame is not padding."""
        positions = torch.arange(self.units.shape[-1], device=self.lengths.device)
        return (positions[None, :] < self.lengths[:, None]).unsqueeze(1).to(torch.float32)


@dataclass(frozen=True)
class SegmentPlan:
    """How the dataset cuts clips for a recipe."""

    n_frames: int
    """Frames of a cut."""
    fixed: bool
    """True: every item has exactly `n_frames` (a random place; shorter clips are padded). False: whole clips, but one
    longer than `longer_than` frames is cut to `n_frames` at a random place; a batch is padded to its longest."""
    longer_than: int = 0
    """Only where `fixed` is False."""


@dataclass(frozen=True)
class Losses:
    """What one backward pass needs, and what is logged."""

    total: Tensor
    """Scalar with gradient: the weighted sum that is minimised."""
    parts: dict[str, Tensor]
    """Weighted terms by short name ("mel", "kl", "adv", ...), detached scalars; logged as loss/g/NAME, loss/d/NAME."""


class Recipe(ABC):
    """One family's half of training. Constructor of every recipe: `(config: SovitsConfig, options: TrainOptions)`.

    The loop moves the modules to the device and calls `.train()` / `.eval()`; the recipe never moves them.
    """

    config: SovitsConfig
    base_learning_rate: float = 1e-4
    """Of both optimisers (AdamW), where the options name none."""
    base_batch_size: int = 6
    """Items a step, where the options name none."""
    betas: tuple[float, float] = (0.8, 0.99)
    eps: float = 1e-9
    max_grad_norm: float | None = None
    """Gradients of each module are scaled down to this L2 norm; None: they are only measured."""

    generator: nn.Module
    discriminator: nn.Module | None
    """None where a recipe never trains against one. It is built at construction, even where it starts later, because
    its weights and its optimiser are part of every checkpoint."""

    def judges(self, step: int) -> bool:
        """Whether the discriminator takes part in a step (0-based)."""
        return self.discriminator is not None

    def light_tensors(self) -> dict[str, Tensor]:
        """What rendering needs of the generator, for light checkpoints."""
        return dict(self.generator.state_dict())

    @abstractmethod
    def segments(self) -> SegmentPlan:
        """How clips are cut."""

    @abstractmethod
    def prepare_batch(self, batch: Batch) -> Batch:
        """Compute what the losses need beside the batch (spectrograms, masks): under no_grad, float32, on the device.

        Returns a batch with `extra` filled (use `dataclasses.replace`). Random augmentation belongs here.
        """

    @abstractmethod
    def forward(self, batch: Batch, step: int) -> dict[str, Tensor]:
        """Run the generator in train mode; called under autocast. The result goes to both loss functions unchanged.

        Must hold "audio" [B, 1, N], the rendered waveform, and "target" [B, 1, N], that piece of the recording.
        """

    @abstractmethod
    def discriminator_losses(self, batch: Batch, outputs: dict[str, Tensor], step: int) -> Losses | None:
        """Losses of the discriminator on detached audio, or None in a step that trains none (warm-up).

        Called under autocast; cast to float32 what must be exact.
        """

    @abstractmethod
    def generator_losses(self, batch: Batch, outputs: dict[str, Tensor], step: int) -> Losses:
        """Losses of the generator, after the discriminator's update.

        The discriminator's parameters are frozen during this call; gradients flow through it to the audio. Called under
        autocast; cast to float32 what must be exact.
        """

    @torch.no_grad()
    def render(self, units: Tensor, f0_hz: Tensor, uv: Tensor, volume: Tensor, sid: Tensor, seed: int) -> Tensor:
        """Audio of one clip, as conversion would make it: units [1, C, T], f0/uv/volume [1, T], sid [1] -> [T * HOP].

        Deterministic for a seed and leaves the default generators alone. The modules are in eval mode.
        """
        generator = torch.Generator(device=units.device).manual_seed(seed)
        audio, _ = self.generator.infer(  # type: ignore[operator]
            units, f0_hz, uv, sid, volume, noise_scale=0.4, predict_f0=False, generator=generator
        )
        result: Tensor = audio[0, 0].float()
        return result

    def learning_rate_factor(self, step: int, steps_per_epoch: int) -> float:
        """Multiplier of the base learning rate at a step (0-based) for both optimisers.

        Default: upstream's exponential decay, 0.999875 per epoch.
        """
        return float(0.999875 ** (step // max(1, steps_per_epoch)))
