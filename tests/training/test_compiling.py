"""Compiled where there is a compiler, trained as usual where there is none."""

from pathlib import Path

import pytest
import torch

from core.engines.sovits.dataset import Example
from core.training.compiling import compile_modules, why_not
from core.training.runs import create_run
from tests.training.trainers import fit, options_for, trainer_for

CPU = torch.device("cpu")


def test_without_a_compiler_training_goes_on_and_says_so(
    tmp_path: Path, three_clips: list[Example], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "compiler" in (why_not(CPU) or "")
    options = options_for("lite", steps=1, compile="on")
    trainer = trainer_for(create_run(tmp_path, "r", "v", "lite"), options, three_clips)
    assert fit(trainer).step == 1
    assert trainer.info.notes[0].startswith("Training is not compiled")


@pytest.mark.slow
def test_a_compiled_module_computes_the_same_under_the_same_names() -> None:
    if why_not(CPU):
        pytest.skip(str(why_not(CPU)))
    module = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Tanh())
    x = torch.randn(3, 4)
    before, names = module(x), list(module.state_dict())
    assert compile_modules({"generator": module}, CPU) is None
    assert torch.allclose(module(x), before, atol=1e-6)
    assert list(module.state_dict()) == names
