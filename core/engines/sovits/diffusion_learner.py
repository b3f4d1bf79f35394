"""Training of the shallow diffusion model (spec, sections 1.5 and 4): a segment's mel, noised, back from units, pitch
and loudness.

Half of the items are shown at another pitch and loudness: the mel of a key shift, its pitch with it. The mel is
computed over a few frames more than the segment, so that its edges are those of the whole recording.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.optim import Optimizer

from core.engines.sovits.diffusion.model import Unit2Mel
from core.engines.sovits.recipe import Batch
from core.nn.noise import Noise
from core.nn.vocoder_mel import VocoderMel
from core.training import random_state
from core.training.descent import Descent, adamw
from core.training.learner import Learner

MARGIN = 4
"""Frames at each side of a segment that are only heard, not learned."""
MOST_SHIFT = 5.0
"""Semitones."""
HALVE_EVERY = 100_000
BASE_BATCH = 24


class DiffusionLearner(Learner[Batch]):
    """See `core.training.learner`."""

    base_learning_rate = 1e-4

    def __init__(self, model: Unit2Mel, mel: VocoderMel, seed: int) -> None:
        self.model, self._mel, self._seed = model, mel, seed
        self.modules = {"diffusion": model}

    def optimiser(self, name: str, learning_rate: float, device: torch.device) -> Optimizer:
        """AdamW without decay, as upstream."""
        return adamw(self.model.parameters(), learning_rate, device, weight_decay=0.0)

    def learning_rate_factor(self, step: int, steps_per_epoch: int) -> float:
        """Half of it every 100 000 steps."""
        return 0.5 ** (step // HALVE_EVERY)

    def learn(
        self, parts: Sequence[tuple[int, Batch]], step: int, optimisers: dict[str, Optimizer], by: Descent
    ) -> None:
        """One step on all parts."""
        for index, batch in parts:
            random_state.seed_part(self._seed, step, index, 0)
            batch, shift = augmented(batch)
            with by.autocast():
                loss = self.error(batch, shift)
            by.window.add("loss/total", loss)
            by.backward(loss, len(parts))
        by.window.add("grad_norm", by.descend(optimisers["diffusion"]))

    def error(self, batch: Batch, shift: Tensor, noise: Noise | None = None, t: Tensor | None = None) -> Tensor:
        """Mean squared error of the predicted noise over frames that are not padding; `shift` [B] in semitones.

        `t` [B]: steps of the way to noise; None: drawn.
        """
        noise = noise or Noise()
        with torch.no_grad(), torch.autocast(batch.audio.device.type, enabled=False):
            mel = mels(self._mel, batch.audio[:, 0], shift)
        frames = slice(MARGIN, batch.f0_hz.shape[1] - MARGIN)
        mask = batch.mask[..., frames]
        sid = batch.sid if self.model.sizes.n_speakers > 1 else None
        units, f0, volume = batch.units[..., frames].transpose(1, 2), batch.f0_hz[:, frames], batch.volume[:, frames]
        condition = self.model.condition(units, f0, volume, sid, shift)
        clean = self.model.decoder.to_image(mel[:, frames])
        if t is None:
            t = torch.randint(self.model.decoder.trained_steps, (len(clean),), device=clean.device)
        added = noise.normal_like(clean)
        guess = self.model.decoder.denoise_fn(self.model.decoder.noised(clean, t, added), t, condition.transpose(1, 2))
        off = F.mse_loss(guess.float(), added, reduction="none") * mask.unsqueeze(1)
        return off.sum() / (mask.sum() * clean.shape[2])


def augmented(batch: Batch) -> tuple[Batch, Tensor]:
    """Half of the items louder or softer and at another pitch; the shifts [B] in semitones, 0 where none.

    Gain: 10^U(-1, min(1, log10(1 / peak))); shift: U(-5, 5).
    """
    n_items, device = batch.units.shape[0], batch.units.device
    chosen = torch.rand(n_items, device=device) < 0.5
    highest = torch.clamp(-torch.log10(batch.audio.abs().amax(dim=(1, 2)) + 1e-5), max=1.0)
    gain = 10.0 ** (-1.0 + torch.rand(n_items, device=device) * (highest + 1.0))
    gain = torch.where(chosen, gain, torch.ones_like(gain))
    shift = torch.where(chosen, (2.0 * torch.rand(n_items, device=device) - 1.0) * MOST_SHIFT, torch.zeros_like(gain))
    changed = replace(
        batch,
        audio=batch.audio * gain[:, None, None],
        volume=batch.volume * gain[:, None],
        f0_hz=batch.f0_hz * 2.0 ** (shift[:, None] / 12.0),
    )
    return changed, shift


def mels(mel: VocoderMel, audio: Tensor, shift: Tensor) -> Tensor:
    """Log mels [B, T, M] of audio [B, N], each at its key shift [B] in semitones."""
    n_frames = audio.shape[1] // mel.hop
    if not bool(shift.any()):
        return mel(audio)[..., :n_frames].transpose(1, 2)
    made = [mel(one[None], float(key))[0, :, :n_frames] for one, key in zip(audio, shift, strict=True)]
    return torch.stack(made).transpose(1, 2)
