"""What a so-vits run is said to take: counted on the models, near what a trial measures, more for longer clips."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from core import device
from core.device import DeviceInfo
from core.engines.sovits import trial, vits_recipe
from core.engines.sovits.preflight import COSTS, CUT_FRAMES, HOP, LONGEST_FRAMES, PASSING, RATE_HZ, preflight
from core.engines.sovits.presets import preset
from core.engines.sovits.recipe import Recipe
from core.engines.sovits.recipes import create_recipe
from core.settings import Settings
from core.training.options import TrainOptions, parse_options
from tests.training.material import make_voice, register_encoder

LENGTHS_S = (0.5, 2.0, 5.0, 9.0)


def options_of(name: str, **more: object) -> TrainOptions:
    return parse_options({"voice": "v", "preset": name, "adversarial_from_step": 0, **more})


def kept_bytes(recipe: Recipe, n_items: int, seconds: float) -> int:
    """Bytes of all tensors that autograd keeps for the backward passes of a step, at the fullest moment."""
    assert recipe.discriminator is not None
    weights = {p.data_ptr() for m in (recipe.generator, recipe.discriminator) for p in m.parameters()}

    def count(body: Callable[[], object]) -> tuple[int, object]:
        found: dict[int, tuple[int, torch.Tensor]] = {}

        def keep(tensor: torch.Tensor) -> torch.Tensor:
            memory = tensor.untyped_storage()
            if memory.data_ptr() not in weights:
                found[memory.data_ptr()] = memory.nbytes(), tensor  # held, so that no other gets its place
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            made = body()
        return sum(n_bytes for n_bytes, _ in found.values()), made

    batch = recipe.prepare_batch(trial.made_up(recipe, n_items, 256, seconds))
    made, outputs = count(lambda: recipe.forward(batch, 0))
    judged, _ = count(lambda: recipe.discriminator_losses(batch, outputs, 0))  # type: ignore[arg-type]
    compared, _ = count(lambda: recipe.generator_losses(batch, outputs, 0))  # type: ignore[arg-type]
    return made + max(judged, compared)


def said_to_keep(name: str, n_items: int, seconds: float, segment_frames: int = 0) -> float:
    cost = COSTS[name]
    return cost.fixed_bytes + n_items * cost.item_bytes(seconds, segment_frames)


def recipe_of(name: str, **more: object) -> Recipe:
    config = preset(name, encoder="builtin", encoder_dim=256, speakers=["a"])
    return create_recipe(config, options_of(name, **more))


def test_what_lite_keeps_is_counted_and_does_not_grow_with_clips() -> None:
    for n_items, seconds in ((8, 1.0), (12, 9.0)):
        assert kept_bytes(recipe_of("lite"), n_items, seconds) == pytest.approx(
            said_to_keep("lite", n_items, 1.0), rel=0.05
        )
    half = kept_bytes(recipe_of("lite", segment_frames=32), 8, 1.0)
    assert half == pytest.approx(said_to_keep("lite", 8, 1.0, 32), rel=0.1)
    assert half < said_to_keep("lite", 8, 1.0)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["tiny", "standard"])
def test_what_whole_clips_keep_is_counted(name: str) -> None:
    recipe = recipe_of(name)
    for n_items, seconds in ((1, 1.2), (2, 2.0), (1, 9.0), (1, 30.0)):
        assert kept_bytes(recipe, n_items, seconds) == pytest.approx(said_to_keep(name, n_items, seconds), rel=0.05)


@pytest.mark.parametrize("name", ["tiny", "standard"])
def test_longer_clips_take_more_until_they_are_cut(name: str) -> None:
    cost = COSTS[name]
    needs = [cost.memory_bytes(6, seconds) for seconds in LENGTHS_S]
    assert needs == sorted(needs)
    assert needs[-1] - needs[0] > 2e9, "most of a batch of long clips is their length"
    assert cost.memory_bytes(6, 60.0) == cost.memory_bytes(6, 600.0) == cost.memory_bytes(6, CUT_FRAMES * HOP / RATE_HZ)
    assert (LONGEST_FRAMES, CUT_FRAMES) == (vits_recipe.LONGEST_FRAMES, vits_recipe.CUT_FRAMES)
    by_batch = [cost.memory_bytes(size, 5.0) for size in (1, 2, 6, 12)]
    assert by_batch == sorted(by_batch)
    assert cost.memory_bytes(6, 5.0, 40) > cost.memory_bytes(6, 5.0)


def test_lite_hears_segments_only() -> None:
    cost = COSTS["lite"]
    assert len({cost.memory_bytes(10, seconds) for seconds in LENGTHS_S}) == 1
    assert cost.memory_bytes(10, 5.0, 128) - cost.memory_bytes(10, 5.0) == pytest.approx(
        PASSING * 10 * 64 * cost.bytes_per_segment_frame
    )


@pytest.mark.parametrize(
    ("name", "seconds"),
    [
        ("lite", 9.0),
        pytest.param("tiny", 1.2, marks=pytest.mark.slow),
        pytest.param("tiny", 9.1, marks=pytest.mark.slow),
        pytest.param("standard", 5.0, marks=pytest.mark.slow),
    ],
)
def test_the_estimate_is_near_what_a_trial_measures(name: str, seconds: float) -> None:
    size = 6 if name == "lite" else 1
    found = trial.measure_in_fresh_process(options_of(name, batch_size=size), "cpu", seconds)
    assert found["batch_size"] == size
    assert COSTS[name].memory_bytes(size, seconds) == pytest.approx(found["peak_bytes"], rel=0.2)


def test_the_proposal_fits_the_longest_clip(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    register_encoder(monkeypatch)
    settings = Settings(workspace=workspace, device="cpu")
    voice = make_voice(settings)
    free = int(6e9)
    monkeypatch.setattr(device, "info", lambda setting="auto": DeviceInfo("GPU", "cuda", free, free, 0.0))
    asked = {"voice": voice.name, "preset": "standard", "encoder": "bands", "pitch": "dio", "batch_size": 24}
    short = next(c for c in preflight(settings, parse_options(asked)) if c.name == "memory")
    assert short.verdict == "warn"
    offers = [size for size in (12, 8, 6, 4, 3, 2, 1) if COSTS["standard"].memory_bytes(size, 1.1) <= free]
    assert f"A batch size of {offers[0]} with {24 // offers[0]} accumulated" in short.fix
