"""Fine-tuning of NSF-HiFi-GAN: the losses of HiFi-GAN (Kong et al., NeurIPS 2020).

The discriminators learn by eq. 1; the generator by eq. 6: eq. 2 (adversarial), twice eq. 4 (feature matching) and 45
times eq. 3 (mel). The discriminators are those of VITS: one over the waveform and several over its periods.

The generator hears what conversion gives it: the log mel of the recording and its pitch, interpolated across unvoiced
frames. The mel is computed over a few frames more than the segment, so that its edges are those of the whole recording.
The mel of the loss reaches up to half the sampling rate, beyond what the generator hears, as HiFi-GAN's own does: what
lies above is to be made right too.
"""

from dataclasses import replace

import torch
from torch import Tensor

from core.engines.sovits import losses
from core.engines.sovits.recipe import HOP, Batch, Losses, Recipe, SegmentPlan
from core.engines.sovits.vocoder import Vocoder
from core.nn.discriminators import MultiPeriodDiscriminator
from core.nn.noise import Noise
from core.nn.vocoder_mel import VocoderMel

MARGIN = 4
"""Frames at each side of a segment that only the mel sees."""
SEGMENT_FRAMES = 32
MEL_WEIGHT = 45.0


class VocoderRecipe(Recipe):
    """Trained by `core.engines.sovits.learner.VoiceLearner`, as voice models are."""

    base_learning_rate = 1e-4
    base_batch_size = 10

    def __init__(self, vocoder: Vocoder, segment_frames: int = 0, judge_channels: int = 1024) -> None:
        """`vocoder` at 44.1 kHz in steps of 512 samples, with weight norm; `segment_frames` 0: 32."""
        config = vocoder.config
        self.vocoder = vocoder
        self.segment_frames = segment_frames or SEGMENT_FRAMES
        self.generator = vocoder.decoder
        self.judge = MultiPeriodDiscriminator(periods=config.discriminator_periods, width=judge_channels)
        self.discriminator = self.judge
        rate_hz = config.sampling_rate
        self.loss_mel = VocoderMel(
            rate_hz, config.num_mels, config.n_fft, config.win_size, config.hop_size, 0.0, rate_hz / 2
        )

    def segments(self) -> SegmentPlan:
        return SegmentPlan(n_frames=self.segment_frames + 2 * MARGIN, fixed=True)

    @torch.no_grad()
    def prepare_batch(self, batch: Batch) -> Batch:
        """Adds "mel" [B, mels, T] and "target" [B, 1, T * HOP] of the T frames between the margins."""
        with torch.autocast(batch.audio.device.type, enabled=False):
            mel = self.vocoder.mel(batch.audio[:, 0])
        last = batch.f0_hz.shape[1] - MARGIN
        target = batch.audio[..., MARGIN * HOP : last * HOP]
        return replace(batch, extra={**batch.extra, "mel": mel[..., MARGIN:last], "target": target})

    def forward(self, batch: Batch, step: int) -> dict[str, Tensor]:
        audio = self.generator(batch.extra["mel"], batch.f0_hz[:, MARGIN:-MARGIN], None, Noise())
        return {"audio": audio, "target": batch.extra["target"]}

    def discriminator_losses(self, batch: Batch, outputs: dict[str, Tensor], step: int) -> Losses:
        real, fake = self.judge.judge(outputs["target"], outputs["audio"].detach())
        return Losses(losses.discriminator_loss(real, fake), {})

    def generator_losses(self, batch: Batch, outputs: dict[str, Tensor], step: int) -> Losses:
        audio, target = outputs["audio"], outputs["target"]
        with torch.no_grad():
            _, real_maps = self.judge(target)
        fake_logits, fake_maps = self.judge(audio)
        parts = {
            "adv": losses.adversarial_loss(fake_logits),
            "fm": losses.feature_loss(real_maps, fake_maps),
            "mel": MEL_WEIGHT * self.mel_distance(audio, target),
        }
        return Losses(torch.stack(list(parts.values())).sum(), {name: x.detach() for name, x in parts.items()})

    def mel_distance(self, audio: Tensor, target: Tensor) -> Tensor:
        """Mean absolute difference of the log mels (nats) of waveforms [B, 1, N]; a scalar."""
        with torch.autocast(audio.device.type, enabled=False):
            return losses.mel_loss(self.loss_mel(audio[:, 0]), self.loss_mel(target[:, 0]))

    def learning_rate_factor(self, step: int, steps_per_epoch: int) -> float:
        """HiFi-GAN's decay, 0.999 an epoch."""
        return float(0.999 ** (step // max(1, steps_per_epoch)))

    @torch.no_grad()
    def copy_of(self, clip: Batch, n_frames: int, seed: int) -> Tensor:
        """The first frames of a clip, analysed and made again: [1, 1, N]. Leaves the default generators alone."""
        n_frames = min(n_frames, clip.f0_hz.shape[1])
        mel = self.vocoder.mel(clip.audio[:, 0])[..., :n_frames]
        noise = Noise(torch.Generator().manual_seed(seed))
        made: Tensor = self.generator(mel, clip.f0_hz[:, :n_frames], None, noise)
        return made
