"""Training of the `lite` generator: spectral losses first, a spectrogram discriminator later.

Losses, all on float32 audio at 44.1 kHz:

* multi-resolution STFT (Yamamoto et al., "Parallel WaveGAN", ICASSP 2020, eq. 5-7): spectral convergence and
  log-magnitude distance at three resolutions;
* mel: mean absolute difference of log-mels, as the so-vits-svc generator uses it;
* adversarial, least squares (Mao et al., ICCV 2017) with feature matching (Kumar et al., "MelGAN", eq. 4), on a
  random short window of every item, from `adversarial_from_step` on.
"""

from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional as F

from core.engines.sovits.config import SovitsConfig
from core.engines.sovits.lite import HOP, LiteGenerator
from core.engines.sovits.lite_discriminator import RESOLUTIONS, MultiResolutionDiscriminator
from core.engines.sovits.recipe import Batch, Losses, Recipe, SegmentPlan
from core.nn.spectral import mel_spectrogram
from core.training.options import TrainOptions

SEGMENT_FRAMES = 64
ADVERSARIAL_ITEMS = 6
ADVERSARIAL_FRAMES = 20
"""The discriminator sees this many items of a batch and frames of each: it costs more than the generator."""
ADVERSARIAL_SHARE = 0.4
"""Part of the run, its end, in which the discriminator takes part."""
WARM_UP_STEPS = 200
GAIN_DB = 6.0
"""Training gain is drawn from -GAIN_DB .. +GAIN_DB, so that the level of a song to convert does not matter."""
UNIT_NOISE = 0.02
"""Noise on the units, relative to their RMS: conversion never sees exactly the training units."""
WEIGHTS = {"mrstft": 2.0, "mel": 5.0, "adv": 1.0, "fm": 2.0}


def stft_losses(audio: Tensor, target: Tensor) -> Tensor:
    """Spectral convergence plus log-magnitude distance, averaged over `RESOLUTIONS`. [B, N] each -> scalar."""
    total = audio.new_zeros(())
    for n_fft, hop in RESOLUTIONS:
        window = torch.hann_window(n_fft, device=audio.device)
        fake, real = (torch.stft(x, n_fft, hop, window=window, return_complex=True).abs() for x in (audio, target))
        convergence = torch.linalg.norm(real - fake) / torch.linalg.norm(real).clamp(min=1e-3)
        # 1e-2 is about 70 dB under a loud voice at these window lengths: below it there is nothing to learn
        distance = F.l1_loss(torch.log(fake + 1e-2), torch.log(real + 1e-2))
        total = total + convergence + distance
    return total / len(RESOLUTIONS)


class LiteRecipe(Recipe):
    """See `core.engines.sovits.recipe.Recipe` for the order of calls."""

    base_learning_rate = 8e-4
    base_batch_size = 10
    max_grad_norm = 10.0

    def __init__(self, config: SovitsConfig, options: TrainOptions) -> None:
        self.config = config
        self.generator = LiteGenerator(config)
        self.discriminator = MultiResolutionDiscriminator()
        self.segment_frames = options.segment_frames or SEGMENT_FRAMES
        self.total_steps = options.steps
        asked = options.adversarial_from_step
        self.adversarial_from = asked if asked >= 0 else int(options.steps * (1 - ADVERSARIAL_SHARE))

    def segments(self) -> SegmentPlan:
        return SegmentPlan(n_frames=self.segment_frames, fixed=True)

    def judges(self, step: int) -> bool:
        return step >= self.adversarial_from

    @torch.no_grad()
    def prepare_batch(self, batch: Batch) -> Batch:
        count, device = batch.units.shape[0], batch.units.device
        gain = 10 ** (torch.empty(count, device=device).uniform_(-GAIN_DB, GAIN_DB) / 20)
        spread = batch.units.square().mean(dim=(1, 2), keepdim=True).sqrt()
        units = batch.units + UNIT_NOISE * spread * torch.randn_like(batch.units)
        return replace(
            batch,
            units=units * batch.mask,
            volume=batch.volume * gain[:, None],
            audio=batch.audio * gain[:, None, None],
        )

    def forward(self, batch: Batch, step: int) -> dict[str, Tensor]:
        audio = self.generator(batch.units, batch.f0_hz, batch.uv, batch.volume, batch.sid).float()
        audible = batch.mask.repeat_interleave(HOP, dim=2)
        outputs = {"audio": audio * audible, "target": batch.audio * audible}
        if self.judges(step):
            length = min(ADVERSARIAL_FRAMES, batch.units.shape[-1]) * HOP
            spare = (batch.lengths * HOP - length).clamp(min=0)
            starts = (torch.rand(len(spare), device=spare.device) * (spare + 1)).long()
            places = (starts[:, None] + torch.arange(length, device=spare.device))[:ADVERSARIAL_ITEMS]
            for name in ("audio", "target"):
                outputs[f"{name}_window"] = outputs[name][:ADVERSARIAL_ITEMS, 0].gather(1, places)
        return outputs

    def discriminator_losses(self, batch: Batch, outputs: dict[str, Tensor], step: int) -> Losses | None:
        if "audio_window" not in outputs:
            return None
        assert self.discriminator is not None
        real = self.discriminator(outputs["target_window"].float())
        fake = self.discriminator(outputs["audio_window"].detach().float())
        pairs = zip(real, fake, strict=True)
        total = torch.stack([(1 - r).square().mean() + f.square().mean() for (r, _), (f, _) in pairs]).sum()
        return Losses(total, {"adv": total.detach()})

    def generator_losses(self, batch: Batch, outputs: dict[str, Tensor], step: int) -> Losses:
        audio, target = outputs["audio"][:, 0].float(), outputs["target"][:, 0].float()
        parts = {
            "mrstft": stft_losses(audio, target),
            "mel": F.l1_loss(mel_spectrogram(audio), mel_spectrogram(target)),
        }
        if "audio_window" in outputs:
            assert self.discriminator is not None
            with torch.no_grad():
                real = self.discriminator(outputs["target_window"].float())
            fake = self.discriminator(outputs["audio_window"].float())
            parts["adv"] = torch.stack([(1 - logits).square().mean() for logits, _ in fake]).sum()
            maps = [
                F.l1_loss(f, r)
                for (_, fakes), (_, reals) in zip(fake, real, strict=True)
                for f, r in zip(fakes, reals, strict=True)
            ]
            parts["fm"] = torch.stack(maps).mean()
        weighted = {name: WEIGHTS[name] * value for name, value in parts.items()}
        total = torch.stack(list(weighted.values())).sum()
        return Losses(total, {name: value.detach() for name, value in weighted.items()})

    def learning_rate_factor(self, step: int, steps_per_epoch: int) -> float:
        """Linear warm-up over `WARM_UP_STEPS`, then a cosine from 1 down to 0.1 at the last step."""
        warm = min(1.0, (step + 1) / WARM_UP_STEPS)
        done = min(1.0, step / max(1, self.total_steps))
        return warm * (0.1 + 0.45 * (1 + float(torch.cos(torch.tensor(torch.pi * done)))))
