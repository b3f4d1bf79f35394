"""What only a GPU can show: its precisions, memory that is pinned, kernels that are fused or compiled, a trial."""

from pathlib import Path

import pytest
import torch

from core.engines.sovits import trial
from core.engines.sovits.clips import Example
from core.training.runs import create_run
from tests.training.trainers import end_of, fit, options_for, trainer_for

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU"),
]
GPU = torch.device("cuda:0")


@pytest.mark.parametrize("precision", ["fp32", "fp16", "bf16"])
@pytest.mark.parametrize("family", ["lite", "tiny"])
def test_a_run_learns_and_goes_on(tmp_path: Path, three_clips: list[Example], family: str, precision: str) -> None:
    options = options_for(family, steps=6, adversarial_from_step=1, precision=precision)
    run = create_run(tmp_path, "r", "v", family)
    first = trainer_for(run, options.model_copy(update={"steps": 4}), three_clips, device=GPU)
    assert first.by.precision == precision
    assert all(optimiser.defaults["fused"] for optimiser in first.optimisers.values())
    with first.stream() as stream:
        batch = stream.next()[0]
    assert batch.audio.is_pinned()
    fit(first)
    again = trainer_for(run, options, three_clips, device=GPU)
    assert again.restore()
    assert (again.step, fit(again).step) == (4, 6)
    assert all(v.isfinite().all() for v in end_of(again).tensors["generator"].values())
    assert "gpu_memory_mb" in run.metrics()[-1]


def test_a_compiled_run_goes_on_from_one_that_was_not(tmp_path: Path, three_clips: list[Example]) -> None:
    run = create_run(tmp_path, "r", "v", "lite")
    fit(trainer_for(run, options_for("lite", steps=2), three_clips, device=GPU))
    compiled = trainer_for(run, options_for("lite", steps=4, compile="on"), three_clips, device=GPU)
    assert compiled.restore()
    assert fit(compiled).step == 4


def test_a_trial_tells_what_a_step_takes() -> None:
    found = trial.measure(options_for("lite", segment_frames=0, batch_size=4), "cuda:0", 5.0)
    assert found["batch_size"] == 4
    assert 1e7 < found["peak_bytes"] < 8e10
