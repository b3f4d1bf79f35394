"""The network run as upstream runs it, as a baseline for `benchmarks.svc`: written here, from the formulas of the spec.

Not upstream's program: the same layers and weights as ours, called in upstream's way.
"""

import math
from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn

from core.engines.sovits import losses
from core.engines.sovits.model import SovitsGenerator
from core.engines.sovits.recipe import Batch
from core.engines.sovits.vits_recipe import VitsRecipe
from core.nn.masks import cut
from core.nn.noise import Noise
from core.nn.nsf import SINE_AMPLITUDE, UNVOICED_NOISE, VOICED_NOISE, SineSource
from core.nn.spectral import mel_from_spectrogram, mel_spectrogram


class RunningSumSource(SineSource):
    """Harmonics whose phase is a float32 running sum over samples, corrected where it passes a whole turn."""

    def forward(self, f0: Tensor, noise: Noise) -> Tensor:
        harmonics = torch.arange(1, self.n_harmonics + 1, dtype=f0.dtype, device=f0.device)
        held = f0.repeat_interleave(self.hop, dim=1).unsqueeze(2)
        step = (held * harmonics / self.rate_hz) % 1
        offset = noise.uniform((f0.shape[0], self.n_harmonics), f0)
        offset[:, 0] = 0
        step[:, 0] = step[:, 0] + offset
        turns = torch.cumsum(step, dim=1) % 1
        passed = (turns[:, 1:] - turns[:, :-1]) < 0
        correction = torch.zeros_like(step)
        correction[:, 1:] = passed * -1.0
        sines = torch.sin(torch.cumsum(step + correction, dim=1) * 2 * math.pi) * SINE_AMPLITUDE
        voiced = (held > 0).to(f0.dtype)
        level = voiced * VOICED_NOISE + (1 - voiced) * UNVOICED_NOISE
        return sines * voiced + level * noise.normal(sines.shape, sines)


def as_upstream(generator: nn.Module) -> nn.Module:
    """The generator as trained, with the running-sum source. Weight norm stays live, the posterior encoder stays."""
    if isinstance(generator, SovitsGenerator):
        source = generator.dec.m_source
        sines = cast(SineSource, source.sines)
        source.sines = RunningSumSource(sines.rate_hz, sines.hop, sines.n_harmonics - 1)
    return generator


def training_step(recipe: VitsRecipe, batch: Batch) -> Callable[[], None]:
    """One update of both networks in upstream's order: everything judged twice, one audio a pass, no part frozen."""
    judge, generator, config = recipe.judge, recipe.generator, recipe.config
    optimisers = [torch.optim.AdamW(m.parameters(), 1e-4) for m in (generator, judge)]

    def step() -> None:
        ready = recipe.prepare_batch(batch)
        outputs = recipe.forward(ready, 1)
        mel = cut(mel_from_spectrogram(ready.extra["spec"]), outputs["starts"], recipe.segment_frames)
        mel_hat = mel_spectrogram(outputs["audio"][:, 0])
        real, _ = judge(outputs["target"])
        fake, _ = judge(outputs["audio"].detach())
        optimisers[1].zero_grad()
        losses.discriminator_loss(real, fake).backward()  # type: ignore[no-untyped-call]
        optimisers[1].step()
        _, real_maps = judge(outputs["target"])
        fake_logits, fake_maps = judge(outputs["audio"])
        terms = losses.generator_losses(
            config.train,
            fake_logits=fake_logits,
            real_maps=real_maps,
            fake_maps=fake_maps,
            mel_hat=mel_hat,
            mel=mel,
            predicted_lf0=outputs["predicted_lf0"],
            lf0=outputs["lf0"],
            **{name: outputs[name] for name in ("z_p", "logs_q", "m_p", "logs_p", "mask")},
        )
        optimisers[0].zero_grad()
        terms.total.backward()  # type: ignore[no-untyped-call]
        optimisers[0].step()

    return step
