"""Losses: values worked out by hand, gradients where they belong."""

import math

import pytest
import torch

from core.engines.sovits.config import TrainConfig
from core.engines.sovits.losses import (
    adversarial_loss,
    discriminator_loss,
    f0_loss,
    feature_loss,
    generator_losses,
    kl_loss,
    mel_loss,
)


def test_least_squares_by_hand() -> None:
    real, fake = [torch.tensor([[1.0, 0.0]])], [torch.tensor([[0.5, 0.5]])]
    assert discriminator_loss(real, fake).item() == pytest.approx(0.5 + 0.25)
    assert adversarial_loss(fake).item() == pytest.approx(0.25)
    assert discriminator_loss(real * 3, fake * 3).item() == pytest.approx(3 * 0.75)


def test_features_count_twice_and_the_real_side_gets_no_gradient() -> None:
    real = [[torch.zeros(4, requires_grad=True), torch.zeros(2)]]
    fake = [[torch.ones(4, requires_grad=True), torch.full((2,), 3.0)]]
    loss = feature_loss(real, fake)
    assert loss.item() == pytest.approx(2 * (1 + 3))
    loss.backward()
    assert fake[0][0].grad is not None
    assert real[0][0].grad is None


def test_kl_by_hand_and_at_zero() -> None:
    zero, mask = torch.zeros(1, 3, 2), torch.tensor([[[1.0, 0.0]]])
    # equal unit Gaussians, z_p at the mean: the log terms leave -1/2 a channel
    assert kl_loss(zero, zero, zero, zero, mask).item() == pytest.approx(-1.5)
    shifted = kl_loss(zero + 2, zero, zero, zero + math.log(2), mask)
    assert shifted.item() == pytest.approx(3 * (math.log(2) - 0.5 + 0.5 * 4 / 4))


def test_half_precision_is_summed_in_single() -> None:
    large = torch.full((1, 1, 70000), 1.0, dtype=torch.float16)
    assert torch.isfinite(kl_loss(large, large, large * 0, large * 0, large))
    assert mel_loss(large, large * 0).dtype == torch.float32


def test_the_total_is_the_weighted_sum() -> None:
    one, two = torch.ones(1, 1, 4), torch.full((1, 1, 4), 2.0)
    terms = generator_losses(
        TrainConfig(c_mel=10.0, c_kl=0.5),
        fake_logits=[one],
        real_maps=[[one]],
        fake_maps=[[two]],
        mel_hat=two,
        mel=one,
        z_p=one,
        logs_q=one * 0,
        m_p=one,
        logs_p=one * 0,
        mask=one,
        predicted_lf0=two,
        lf0=one,
    )
    assert terms.total.item() == pytest.approx(0.0 + 2.0 + 10.0 + 0.5 * -0.5 + 1.0)
    assert terms.scalars()["mel"] == pytest.approx(10.0)
    assert f0_loss(two, one).item() == 1.0
