"""Discriminators: the layout of upstream's files, shapes, one pass for real and generated audio."""

import json
from pathlib import Path

import pytest
import torch

from core.nn.discriminators import MultiPeriodDiscriminator, PeriodDiscriminator


@pytest.mark.parametrize(
    ("file", "spectral"), [("discriminator_mpd", False), ("discriminator_mpd_spectral_norm", True)]
)
def test_tensor_names_and_shapes_are_upstreams(shared_dir: Path, file: str, spectral: bool) -> None:
    keys = json.loads((shared_dir / "spec" / "keys" / "sovits" / f"{file}.json").read_text())["keys"]
    with torch.device("meta"):
        net = MultiPeriodDiscriminator(spectral)
    ours = {name: list(tensor.shape) for name, tensor in net.state_dict().items()}
    assert ours == {name: item["shape"] for name, item in keys.items()}


def test_any_length_is_folded_and_real_and_fake_are_told_apart() -> None:
    torch.manual_seed(0)
    net = MultiPeriodDiscriminator(periods=(3,)).eval()
    real, fake = torch.randn(1, 1, 1000), torch.randn(1, 1, 1000)
    with torch.inference_mode():
        logits, maps = net(real)
        real_logits, fake_logits = net.judge(real, fake)
        fake_alone, _ = net(fake)
    assert [len(features) for features in maps] == [7, 6]
    for features, score in zip(maps, logits, strict=True):
        assert torch.equal(features[-1].flatten(1), score)
    for together, alone in zip(real_logits + fake_logits, logits + fake_alone, strict=True):
        torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-4)


def test_columns_of_a_period_never_mix() -> None:
    net = PeriodDiscriminator(5).eval()
    wav = torch.randn(1, 1, 500)
    changed = wav.clone()
    changed[..., 3::5] += 1.0
    with torch.inference_mode():
        before, after = net(wav)[1][-1], net(changed)[1][-1]
    difference = (before - after).abs().amax(dim=(0, 1, 2))
    assert (difference > 0).tolist() == [False, False, False, True, False]
