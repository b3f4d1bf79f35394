"""The optimiser of 8 bits: it learns, its state is a quarter, and a run goes on with it bit for bit."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from core.engines.voxcpm import eight_bit
from core.engines.voxcpm.batches import Utterance, pack
from core.engines.voxcpm.learner import VoxLearner
from core.engines.voxcpm.token_batches import Packed
from core.engines.voxcpm.train_options import VoxTrainOptions
from core.engines.voxcpm.trainable import Trainable, load_for_training
from core.errors import Unavailable
from core.settings import Settings
from core.training import generations
from core.training.descent import Descent
from core.training.optimiser_state import flatten, unflatten
from tests.engines.voxcpm.voice import QUICK, make_voice, studio_settings, train

CPU = torch.device("cpu")


@pytest.fixture
def installed() -> None:
    if eight_bit.why_not():
        pytest.skip(eight_bit.why_not())


def test_without_the_package_it_is_refused_with_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(eight_bit.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(Unavailable, match="bitsandbytes is not installed"):
        eight_bit.eight_bit_adamw([], 1e-4, CPU, 0.01, paged=True)


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("kind", ["adamw8bit", "paged_adamw8bit"])
def test_it_learns_with_a_quarter_of_the_state(tiny: Callable[[str], Path], kind: str) -> None:
    torch.manual_seed(0)
    options = VoxTrainOptions.model_validate({"voice": "v", "preset": "full", "optimiser": kind})
    network = Trainable(load_for_training(tiny("voxcpm"), "cpu", None).model).train()
    learner, by = VoxLearner(network, options), Descent(CPU, "fp32")
    optimiser = learner.optimiser("model", 3e-3, CPU)
    latents = torch.randn(12, 2, 8)
    batch = Packed(pack([Utterance([110, 111, 112], latents)]))
    losses = []
    for _ in range(40):
        optimiser.zero_grad()
        learner.learn([(0, batch)], 0, {"model": optimiser}, by)  # step 0 again and again: the same noise
        losses.append(float(by.window.means()["loss/total"]))
    assert losses[-1] < 0.5 * losses[0]

    parameters = [p for group in optimiser.param_groups for p in group["params"]]
    large = [p for p in parameters if p.numel() >= 4096]
    assert large
    for parameter in large:
        state = optimiser.state[parameter]
        assert (state["state1"].dtype, state["state2"].dtype) == (torch.uint8, torch.uint8)
        numbers = sum(t.numel() * t.element_size() for name, t in tensors_of(state) if not name.startswith("qmap"))
        assert numbers < 0.27 * 8 * parameter.numel()

    tensors, groups = flatten(optimiser, "model")
    fresh = learner.optimiser("model", 1.0, CPU)
    unflatten(fresh, "model", tensors, groups)
    again, _ = flatten(fresh, "model")
    assert tensors.keys() == again.keys()
    assert all(torch.equal(tensor, again[name]) for name, tensor in tensors.items())


def tensors_of(state: dict[str, Any]) -> list[tuple[str, torch.Tensor]]:
    return [(name, value) for name, value in state.items() if isinstance(value, torch.Tensor)]


@pytest.mark.usefixtures("installed")
def test_a_run_goes_on_bit_for_bit(workspace: Path, tiny: Callable[[str], Path]) -> None:
    settings: Settings = studio_settings(workspace)
    voice = make_voice(settings)
    common = {**QUICK, "voice": voice.name, "base": str(tiny("voxcpm")), "preset": "full", "optimiser": "adamw8bit"}
    train(settings, "step 3/4", name="whole", **common)
    train(settings, "step 2/4", name="parts", **common)
    train(settings, "step 3/4", resume="parts")
    one, other = (
        generations.load_generation(settings.runs / name / "checkpoints" / generations.generation_name(3)).tensors
        for name in ("whole", "parts")
    )
    for group in ("model", "optimisers"):
        assert one[group].keys() == other[group].keys()
        assert [name for name, tensor in one[group].items() if not torch.equal(tensor, other[group][name])] == []
    assert any(tensor.dtype == torch.uint8 for tensor in one["optimisers"].values())
