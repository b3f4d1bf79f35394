"""The losses of so-vits-svc training (spec section 4): least-squares GAN, feature matching, mel, KL and pitch.

All reductions are done in float32, so that half-precision runs add up the same way.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from core.engines.sovits.config import TrainConfig

FEATURE_WEIGHT = 2.0


def discriminator_loss(real: Sequence[Tensor], fake: Sequence[Tensor]) -> Tensor:
    """Least squares: real logits towards 1, generated ones towards 0, summed over the discriminators."""
    terms = [(1 - r.float()).square().mean() + f.float().square().mean() for r, f in zip(real, fake, strict=True)]
    return torch.stack(terms).sum()


def adversarial_loss(fake: Sequence[Tensor]) -> Tensor:
    """What the generator pays for logits of its output below 1."""
    return torch.stack([(1 - f.float()).square().mean() for f in fake]).sum()


def feature_loss(real: Sequence[Sequence[Tensor]], fake: Sequence[Sequence[Tensor]]) -> Tensor:
    """Twice the sum of mean absolute differences of feature maps; the real side carries no gradient."""
    terms = [
        F.l1_loss(f.float(), r.detach().float())
        for real_maps, fake_maps in zip(real, fake, strict=True)
        for r, f in zip(real_maps, fake_maps, strict=True)
    ]
    return FEATURE_WEIGHT * torch.stack(terms).sum()


def kl_loss(z_p: Tensor, logs_q: Tensor, m_p: Tensor, logs_p: Tensor, mask: Tensor) -> Tensor:
    """KL of the posterior, through the flow, to the prior. Tensors [B, C, T], mask [B, 1, T].

    Summed over channels, averaged over the frames inside the mask (the divisor does not count channels).
    """
    z_p, logs_q, m_p, logs_p, mask = (x.float() for x in (z_p, logs_q, m_p, logs_p, mask))
    divergence = logs_p - logs_q - 0.5 + 0.5 * (z_p - m_p).square() * torch.exp(-2.0 * logs_p)
    return (divergence * mask).sum() / mask.sum()


def mel_loss(mel_hat: Tensor, mel: Tensor) -> Tensor:
    """Mean absolute difference of log mels (before its weight `c_mel`)."""
    return F.l1_loss(mel_hat.float(), mel.float())


def f0_loss(predicted: Tensor, target: Tensor) -> Tensor:
    """Mean squared error of log-pitch [B, 1, T], over padding too, as upstream has it."""
    return F.mse_loss(predicted.float(), target.float())


@dataclass(frozen=True)
class GeneratorLosses:
    """The terms of one generator step, weights applied; `total` is what is differentiated."""

    adversarial: Tensor
    feature: Tensor
    mel: Tensor
    kl: Tensor
    f0: Tensor

    @property
    def total(self) -> Tensor:
        return self.adversarial + self.feature + self.mel + self.kl + self.f0

    def scalars(self) -> dict[str, float]:
        """Plain numbers for logs: each term and the total."""
        terms = {"adversarial": self.adversarial, "feature": self.feature, "mel": self.mel, "kl": self.kl}
        terms |= {"f0": self.f0, "total": self.total}
        return {name: float(value.detach()) for name, value in terms.items()}


def generator_losses(
    train: TrainConfig,
    *,
    fake_logits: Sequence[Tensor],
    real_maps: Sequence[Sequence[Tensor]],
    fake_maps: Sequence[Sequence[Tensor]],
    mel_hat: Tensor,
    mel: Tensor,
    z_p: Tensor,
    logs_q: Tensor,
    m_p: Tensor,
    logs_p: Tensor,
    mask: Tensor,
    predicted_lf0: Tensor | None,
    lf0: Tensor | None,
) -> GeneratorLosses:
    """All terms with the weights of `train`. Pitch is left out (0) where the model predicts none."""
    predicts = predicted_lf0 is not None and lf0 is not None
    return GeneratorLosses(
        adversarial=adversarial_loss(fake_logits),
        feature=feature_loss(real_maps, fake_maps),
        mel=train.c_mel * mel_loss(mel_hat, mel),
        kl=train.c_kl * kl_loss(z_p, logs_q, m_p, logs_p, mask),
        f0=f0_loss(predicted_lf0, lf0) if predicts else mel.new_zeros(()),  # type: ignore[arg-type]
    )
