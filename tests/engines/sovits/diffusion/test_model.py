"""The shallow diffusion model: names of upstream's files, what it refuses, and where its noise comes from."""

import json
from pathlib import Path

import pytest
import torch

from core.engines.sovits.diffusion.model import METHODS, DiffusionSizes, Unit2Mel
from core.errors import BadInput
from core.nn.noise import Noise, NoNoise

SMALL = DiffusionSizes(6, n_speakers=3, n_mels=5, n_layers=2, n_channels=8, n_hidden=4, n_steps=50)


def _inputs(n_frames: int = 7) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(4)
    return torch.randn(1, n_frames, 6), 200 + torch.rand(1, n_frames), torch.rand(1, n_frames)


@pytest.mark.parametrize("variant", ["default_1spk", "default_3spk", "kstep100_1spk"])
def test_names_and_shapes_are_upstreams(shared_dir: Path, variant: str) -> None:
    file = shared_dir / "spec" / "keys" / "sovits" / f"diffusion_unit2mel_{variant}.json"
    described = json.loads(file.read_text())
    ctor = described["ctor"]
    sizes = DiffusionSizes(
        ctor["input_channel"], ctor["n_spk"], ctor["use_pitch_aug"], ctor["out_dims"], k_step_max=ctor["k_step_max"]
    )
    ours = {name: list(tensor.shape) for name, tensor in Unit2Mel(sizes).state_dict().items()}
    assert ours == {name: item["shape"] for name, item in described["keys"].items()}


def test_each_part_of_the_condition_counts() -> None:
    model, (units, f0, volume) = Unit2Mel(SMALL), _inputs()
    speaker = torch.tensor([1])
    base = model.condition(units, f0, volume, speaker)
    assert base.shape == (1, 7, 4)
    others = [
        model.condition(units + 1, f0, volume, speaker),
        model.condition(units, 2 * f0, volume, speaker),
        model.condition(units, f0, volume + 1, speaker),
        model.condition(units, f0, volume, torch.tensor([2])),
        model.condition(units, f0, volume, speaker, torch.tensor([3.0])),
    ]
    assert all((other - base).abs().max() > 1e-3 for other in others)
    mixed = model.condition(units, f0, volume, torch.tensor([[0.0, 1.0, 0.0]]).expand(7, 3))
    torch.testing.assert_close(mixed, base)
    with pytest.raises(BadInput, match="several speakers"):
        model.condition(units, f0, volume)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_makes_a_mel_from_a_mel_and_from_noise(method: str) -> None:
    model, (units, f0, volume) = Unit2Mel(SMALL).eval(), _inputs()
    condition = model.condition(units, f0, volume, torch.tensor([0]))
    shares: list[float] = []
    mel = torch.full((1, 7, 5), -5.0)
    seed = torch.Generator().manual_seed(1)
    made = model.sample(condition, mel, k_step=20, speedup=4, method=method, generator=seed, progress=shares.append)
    assert made.shape == mel.shape
    assert torch.isfinite(made).all()
    assert shares == sorted(shares)
    again = model.sample(condition, mel, k_step=20, speedup=4, method=method, generator=seed.manual_seed(1))
    assert torch.equal(made, again)
    assert model.sample(condition, speedup=10, method=method, generator=NoNoise()).shape == mel.shape


def test_what_a_model_was_not_trained_for_is_refused() -> None:
    shallow = Unit2Mel(DiffusionSizes(6, n_mels=5, n_layers=1, n_channels=8, n_hidden=4, n_steps=50, k_step_max=10))
    condition, mel = torch.zeros(1, 3, 4), torch.zeros(1, 3, 5)
    for options, words in [
        ({"k_step": 11}, "trained for 1 to 10"),
        ({"k_step": 0}, "trained for 1 to 10"),
        ({"k_step": 5, "speedup": 6}, "speed-up"),
        ({"k_step": 5, "speedup": 1, "method": "euler"}, "euler"),
    ]:
        with pytest.raises(BadInput, match=words):
            shallow.sample(condition, mel, **options)  # type: ignore[arg-type]
    with pytest.raises(BadInput, match="cannot start from noise"):
        shallow.sample(condition)


def test_a_training_step_learns() -> None:
    torch.manual_seed(1)
    model, (units, f0, volume) = Unit2Mel(SMALL), _inputs()
    optimiser = torch.optim.Adam(model.parameters(), 1e-2)
    losses = []
    for _ in range(12):
        condition = model.condition(units, f0, volume, torch.tensor([0]))
        mel = torch.full((1, 7, 5), -4.0)
        loss = model.loss(condition, mel, torch.tensor([30]), fixed_noise())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]


def fixed_noise() -> Noise:
    """The same noise at every call."""
    return Noise(torch.Generator().manual_seed(9))
