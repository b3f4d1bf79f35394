"""A step that cannot go on says why, and what would."""

import json
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from core.engines.sovits.dataset import Example
from core.engines.sovits.recipe import Losses
from core.errors import from_dict
from core.training import generations
from core.training.health import Diverged, LossGuard, OutOfMemory, explain_memory, is_out_of_memory, smaller
from core.training.runs import create_run
from tests.training.trainers import fit, options_for, recipe_for, trainer_for


def test_a_loss_that_explodes_stops_at_the_last_good_generation(tmp_path: Path, three_clips: list[Example]) -> None:
    options = options_for("lite", steps=8, save_every_steps=2, log_every_steps=1)
    recipe = recipe_for("lite", options)
    sound = recipe.generator_losses

    def spoiled(batch, outputs, step):
        losses = sound(batch, outputs, step)
        return Losses(losses.total * 1000, losses.parts) if step == 6 else losses

    recipe.generator_losses = spoiled  # type: ignore[method-assign]
    trainer = trainer_for(create_run(tmp_path, "r", "v", "lite"), options, three_clips, recipe)
    with pytest.raises(Diverged, match=r"exploded.*step 6 is good"):
        fit(trainer)
    found, notes = generations.load_newest(trainer.run.checkpoints)
    assert found is not None
    assert (found.step, notes) == (6, [])


def test_a_save_between_two_log_lines_is_refused_too(tmp_path: Path, three_clips: list[Example]) -> None:
    options = options_for("lite", steps=9, save_every_steps=4, log_every_steps=100)
    recipe = recipe_for("lite", options)
    sound = recipe.generator_losses

    def spoiled(batch, outputs, step):
        losses = sound(batch, outputs, step)
        return Losses(losses.total * 1e6, losses.parts) if step == 7 else losses

    recipe.generator_losses = spoiled  # type: ignore[method-assign]
    trainer = trainer_for(create_run(tmp_path, "r", "v", "lite"), options, three_clips, recipe)
    trainer._guard.n_windows, trainer._guard.lowest = 5, 10.0
    with pytest.raises(Diverged, match="step 4 is good"):
        fit(trainer)


def test_a_step_that_does_not_fit_offers_a_smaller_batch(tmp_path: Path, three_clips: list[Example]) -> None:
    options = options_for("lite", steps=4, batch_size=6)
    recipe = recipe_for("lite", options)
    sound = recipe.forward

    def greedy(batch, step):
        if step == 3:
            torch.empty(1 << 50)  # what a batch too large does: the allocator itself says no
        return sound(batch, step)

    recipe.forward = greedy  # type: ignore[method-assign]
    trainer = trainer_for(create_run(tmp_path, "r", "v", "lite"), options, three_clips, recipe)
    with pytest.raises(OutOfMemory, match="batches of 6") as caught:
        fit(trainer)
    assert caught.value.offer == {"batch_size": 3, "accumulate": 2}
    assert "batch size of 3" in caught.value.hint
    assert "step 2 is good" in caught.value.message
    assert generations.load_newest(trainer.run.checkpoints)[0].step == 2  # type: ignore[union-attr]


def test_a_probe_or_a_save_that_does_not_fit_is_told_like_a_step(
    tmp_path: Path, three_clips: list[Example], monkeypatch: pytest.MonkeyPatch
) -> None:
    options = options_for("lite", steps=6, batch_size=4, probe_every_steps=4)
    trainer = trainer_for(create_run(tmp_path, "probe", "v", "lite"), options, three_clips)

    def greedy(*_: object) -> float:
        return float(torch.empty(1 << 50)[0])

    trainer._probe = greedy
    with pytest.raises(OutOfMemory, match=r"Rendering the probes of step 4 ran out.*step 2 is good") as caught:
        fit(trainer)
    assert caught.value.offer == {"batch_size": 2, "accumulate": 2}

    trainer = trainer_for(create_run(tmp_path, "save", "v", "lite"), options, three_clips)
    save = generations.save_generation
    monkeypatch.setattr(
        generations, "save_generation", lambda at, step, *rest: save(at, step, *rest) if step < 4 else greedy()
    )
    with pytest.raises(OutOfMemory, match=r"Saving step 4 ran out.*step 2 is good"):
        fit(trainer)
    assert generations.load_newest(trainer.run.checkpoints)[0].step == 2  # type: ignore[union-attr]


def test_what_went_wrong_comes_through_from_another_process() -> None:
    err = explain_memory("Step 7", 6, 8, 1, "run")
    back = from_dict(json.loads(json.dumps(err.to_dict())))
    assert isinstance(back, OutOfMemory)
    assert (back.offer, back.to_dict()) == ({"batch_size": 4, "accumulate": 2}, err.to_dict())
    assert type(from_dict(Diverged("m", "h").to_dict())) is Diverged


@given(batch_size=st.integers(1, 200), accumulate=st.integers(1, 20))
def test_the_offer_learns_from_as_many_clips(batch_size: int, accumulate: int) -> None:
    offer = smaller(batch_size, accumulate)
    if batch_size == 1:
        assert offer is None
        return
    assert offer is not None
    assert offer["batch_size"] * offer["accumulate"] == batch_size * accumulate
    assert 1 <= offer["batch_size"] <= batch_size // 2


def test_which_errors_are_about_memory() -> None:
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory. Tried"))
    assert is_out_of_memory(MemoryError())
    assert not is_out_of_memory(RuntimeError("shape mismatch"))
    assert not is_out_of_memory(OSError("out of memory"))


def test_the_guard_lets_a_training_settle_first() -> None:
    guard = LossGuard()
    assert not any(guard.exploded(loss) for loss in (1.0, 500.0, 3.0))
    assert not guard.exploded(19.0)
    assert guard.would_explode(21.0)
    assert guard.exploded(21.0)
