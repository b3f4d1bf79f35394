"""Training of the so-vits-svc 4.1 generator (presets standard and tiny): the losses of the spec, section 4.

Whole clips go through the encoders (cut to 790 frames where longer than 800), 20 frames of each are decoded and judged.
"""

from dataclasses import replace

import torch
from torch import Tensor

from core.engines.sovits import losses
from core.engines.sovits.checkpoint import POSTERIOR_PREFIX
from core.engines.sovits.config import SovitsConfig
from core.engines.sovits.discriminator import build_discriminator
from core.engines.sovits.model import TrainOutput, build_generator
from core.engines.sovits.recipe import HOP, Batch, Losses, Recipe, SegmentPlan
from core.nn.masks import cut
from core.nn.spectral import mel_from_spectrogram, mel_spectrogram, spectrogram
from core.training.options import TrainOptions

LONGEST_FRAMES, CUT_FRAMES = 800, 790
_TRAIN_TENSORS = ("mask", "z_p", "m_p", "logs_p", "logs_q", "predicted_lf0", "lf0", "starts")


class VitsRecipe(Recipe):
    """See `core.engines.sovits.recipe.Recipe` for the order of calls."""

    def __init__(self, config: SovitsConfig, options: TrainOptions) -> None:
        self.config = config
        self.base_learning_rate = config.train.learning_rate
        self.base_batch_size = config.train.batch_size
        self.betas, self.eps = config.train.betas, config.train.eps
        self.segment_frames = options.segment_frames or config.train.segment_size // HOP
        self.generator = build_generator(config)
        self.judge = build_discriminator(config)
        self.discriminator = self.judge

    def segments(self) -> SegmentPlan:
        return SegmentPlan(n_frames=CUT_FRAMES, fixed=False, longer_than=LONGEST_FRAMES)

    def light_tensors(self) -> dict[str, Tensor]:
        names = self.generator.state_dict().items()
        return {name: tensor for name, tensor in names if not name.startswith(POSTERIOR_PREFIX)}

    @torch.no_grad()
    def prepare_batch(self, batch: Batch) -> Batch:
        """Adds "spec" [B, 1025, T], linear magnitude, zero in the padding."""
        data = self.config.data
        if self.config.train.vol_aug:
            batch = _random_gain(batch)
        spec = spectrogram(batch.audio[:, 0], data.filter_length, data.hop_length, data.win_length)
        return replace(batch, extra={**batch.extra, "spec": spec * batch.mask})

    def forward(self, batch: Batch, step: int) -> dict[str, Tensor]:
        volume = batch.volume if self.config.model.vol_embedding else None
        out: TrainOutput = self.generator(
            batch.units,
            batch.f0_hz,
            batch.uv,
            batch.extra["spec"],
            batch.lengths,
            batch.sid,
            volume,
            segment_frames=self.segment_frames,
        )
        samples = self.segment_frames * HOP
        result = {"audio": out.audio, "target": cut(batch.audio, out.starts * HOP, samples)}
        result |= {name: value for name in _TRAIN_TENSORS if (value := getattr(out, name)) is not None}
        return result

    def discriminator_losses(self, batch: Batch, outputs: dict[str, Tensor], step: int) -> Losses | None:
        real, fake = self.judge.judge(outputs["target"], outputs["audio"].detach())
        total = losses.discriminator_loss(real, fake)
        return Losses(total, {})

    def generator_losses(self, batch: Batch, outputs: dict[str, Tensor], step: int) -> Losses:
        data = self.config.data
        mel_sizes = (data.sampling_rate, data.n_mel_channels, data.mel_fmin, data.mel_fmax)
        mel = cut(mel_from_spectrogram(batch.extra["spec"], *mel_sizes), outputs["starts"], self.segment_frames)
        mel_hat = mel_spectrogram(
            outputs["audio"][:, 0].float(),
            data.sampling_rate,
            data.filter_length,
            data.hop_length,
            data.win_length,
            data.n_mel_channels,
            data.mel_fmin,
            data.mel_fmax,
        )
        with torch.no_grad():
            _, real_maps = self.judge(outputs["target"])
        fake_logits, fake_maps = self.judge(outputs["audio"])
        found = losses.generator_losses(
            self.config.train,
            fake_logits=fake_logits,
            real_maps=real_maps,
            fake_maps=fake_maps,
            mel_hat=mel_hat,
            mel=mel,
            z_p=outputs["z_p"],
            logs_q=outputs["logs_q"],
            m_p=outputs["m_p"],
            logs_p=outputs["logs_p"],
            mask=outputs["mask"],
            predicted_lf0=outputs.get("predicted_lf0"),
            lf0=outputs.get("lf0"),
        )
        parts = {"adv": found.adversarial, "fm": found.feature, "mel": found.mel, "kl": found.kl, "f0": found.f0}
        return Losses(found.total, {name: value.detach() for name, value in parts.items()})

    def learning_rate_factor(self, step: int, steps_per_epoch: int) -> float:
        """Upstream's: `lr_decay` per epoch."""
        return float(self.config.train.lr_decay ** (step // max(1, steps_per_epoch)))


def _random_gain(batch: Batch) -> Batch:
    """Every second item louder or softer: 10^U(-1, min(1, log10(1 / peak))), its volume with it."""
    n_items, device = batch.units.shape[0], batch.units.device
    peak = batch.audio.abs().amax(dim=(1, 2)).clamp(min=1e-5)
    highest = torch.clamp(-torch.log10(peak), max=1.0)
    exponent = -1.0 + torch.rand(n_items, device=device) * (highest + 1.0)
    chosen = torch.rand(n_items, device=device) < 0.5
    gain = torch.where(chosen, 10.0**exponent, torch.ones_like(exponent))
    return replace(batch, audio=batch.audio * gain[:, None, None], volume=batch.volume * gain[:, None])
