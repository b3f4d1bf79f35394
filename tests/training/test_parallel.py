"""Two processes with different batches learn what one process learns from both, and what accumulation learns."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from core.engines.sovits.dataset import Example, TrainingSet
from core.engines.sovits.recipe import SegmentPlan
from core.training import parallel, random_state
from core.training.runs import Run, create_run
from tests.training.trainers import differences, end_of, fit, options_for, recipe_for, trainer_for

COMMON = {"steps": 3, "save_every_steps": 2, "log_every_steps": 1, "adversarial_from_step": 1, "batch_size": 2}


def test_two_ranks_equal_one_process_bit_for_bit(tmp_path: Path, three_clips: list[Example], repo_root: Path) -> None:
    one = trainer_for(
        create_run(tmp_path, "one", "v", "lite"), options_for("lite", **COMMON, accumulate=2), three_clips
    )
    fit(one)
    run = create_run(tmp_path, "two", "v", "lite")
    command = [
        *(sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"),
        *("-m", "tests.training.one_rank", str(run.path)),
        *(f"{e.clip_id}|{e.audio}|{e.features}|{e.n_frames}" for e in three_clips),
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(command, cwd=repo_root, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    two = trainer_for(run, options_for("lite", **COMMON), three_clips)
    assert differences(end_of(one), end_of(two)) in ([], ["guard"])  # means of losses are added in another order
    losses = [[row["loss/g/total"] for row in r.metrics()] for r in (one.run, run)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    batches = [(run.path / f"batch_{rank}").read_text() for rank in range(2)]
    assert batches[0] != batches[1]


@pytest.mark.parametrize("family", ["lite", "tiny"])
def test_accumulated_parts_learn_what_one_batch_learns(tmp_path: Path, three_clips: list[Example], family: str) -> None:
    """Without what a recipe draws, and for losses that are means over items, the gradients are the same."""
    options = options_for(family, steps=1, batch_size=2, accumulate=1, adversarial_from_step=99)
    results = {}
    for parts in (1, 2):
        chosen = options.model_copy(update={"batch_size": 2 // parts, "accumulate": parts})
        random_state.seed_everything(1)
        recipe = recipe_for(family, chosen)
        recipe.judges = lambda step: False  # type: ignore[method-assign]
        recipe.prepare_batch = lambda batch: batch  # type: ignore[method-assign]
        recipe.forward = lambda batch, step: {"audio": batch.audio}  # type: ignore[method-assign]
        weight = next(recipe.generator.parameters())

        def loss(batch, outputs, step, weight=weight):
            from core.engines.sovits.recipe import Losses

            scale = batch.audio.square().sum(dim=(1, 2)).mean()
            return Losses((weight.square().sum() + weight.sum()) * scale, {})

        recipe.generator_losses = loss  # type: ignore[method-assign]
        trainer = trainer_for(create_run(tmp_path, f"{family}{parts}", "v", family), chosen, three_clips, recipe)
        fit(trainer)
        results[parts] = weight.grad
    assert torch.allclose(results[1], results[2], rtol=1e-5)


def test_parts_of_a_batch_are_the_batch(three_clips: list[Example]) -> None:
    data = TrainingSet(three_clips, SegmentPlan(16, fixed=True), 4, seed=5)
    whole = data.batch(2, 0)
    parts = [data.batch(2, 0, part, 2) for part in range(2)]
    assert torch.equal(torch.cat([p.audio for p in parts]), whole.audio)
    assert torch.equal(torch.cat([p.units for p in parts]), whole.units)


def test_alone_nothing_is_shared() -> None:
    alone = parallel.join(torch.device("cpu"))
    assert alone is parallel.ALONE
    assert alone.share("x") == "x"
    assert alone.any(True)
    assert not alone.any(False)
    assert parallel.local_device("cuda:0") == "cuda:0"


def test_gradients_travel_in_buckets_of_one_kind() -> None:
    gradients = [torch.zeros(4 << 20), torch.zeros(4 << 20), torch.zeros(8, dtype=torch.float16), torch.zeros(8)]
    assert [len(group) for group in parallel._buckets(gradients)] == [1, 1, 1, 1]
    assert [len(group) for group in parallel._buckets([torch.zeros(8) for _ in range(5)])] == [5]


def test_the_trainer_of_a_rank_reads_its_own_parts(tmp_path: Path, three_clips: list[Example]) -> None:
    run = create_run(tmp_path, "r", "v", "lite")
    trainer = trainer_for(run, options_for("lite"), three_clips, ranks=parallel.Ranks(0, 1))
    assert isinstance(trainer.run, Run)
    assert trainer.batches.batch_size == 2
