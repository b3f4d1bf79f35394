"""Full and light checkpoints of a run: listed, starred, thinned, counted."""

import json
import shutil
import threading
from pathlib import Path

import pytest
import torch

from core.engines.sovits.config import save_config
from core.engines.sovits.dataset import Example
from core.engines.sovits.export import load_model
from core.engines.sovits.recipes import create_recipe
from core.errors import ModelFileError, NotFound
from core.training import light
from core.training.checkpoints import disk_use, list_checkpoints, size_of, star, stars
from core.training.runs import Run, create_run
from tests.training.material import small_config
from tests.training.trainers import fit, options_for, recipe_for, trainer_for


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, three_clips: list[Example]) -> Run:
    """Six saves, of which two full and three light ones may stay."""
    options = options_for("lite", steps=6, save_every_steps=1, keep=1, keep_every_steps=4, keep_light=3)
    trainer = trainer_for(
        create_run(tmp_path_factory.mktemp("logs"), "r", "v", "lite"), options, three_clips, probes=True, listen=True
    )
    trainer.info.state = "running"
    trainer.run.write(trainer.info)
    fit(trainer)
    return trainer.run


def test_disk_use_is_bounded_and_told(run: Run) -> None:
    found = {c.step: c for c in list_checkpoints(run)}
    best = run.read().best_step
    assert {step for step, c in found.items() if c.full} == {4, 6, best}
    light_steps = {step for step, c in found.items() if c.light}
    assert {1, 6, best} <= light_steps
    assert len(light_steps) == 3
    assert [step for step, c in found.items() if c.best] == [best]
    assert found[6].about["data_hash"] == "d"
    use = disk_use(run)
    assert (use.n_full, use.n_light, use.damaged) == (len({4, 6, best}), 3, 0)
    assert use.light / use.n_light < use.full / use.n_full / 10
    assert use.total >= use.full + use.light + use.probes + use.logs
    assert use.probes > 0


def test_recordings_of_probes_are_kept_by_step(run: Run) -> None:
    for checkpoint in list_checkpoints(run):
        assert [p.name for p in checkpoint.probes] == ["probe_1.flac"]
    assert (run.path / "probes" / "recording" / "probe_1.flac").is_file()


def test_a_star_keeps_what_would_go(run: Run) -> None:
    assert stars(run) == {}
    assert star(run, 4, label="好") == {4: "好"}
    assert next(c for c in list_checkpoints(run) if c.step == 4).label == "好"
    assert star(run, 4, on=False) == {}
    with pytest.raises(NotFound, match="99"):
        star(run, 99)
    (run.path / "stars.json").write_text("{")
    assert stars(run) == {}


def test_counting_bears_with_a_run_that_prunes(run: Run) -> None:
    stop = threading.Event()

    def prune_and_save() -> None:
        while not stop.is_set():
            for index in range(20):
                folder = run.path / "probes" / f"step_{index:08d}" / "deep"
                folder.mkdir(parents=True, exist_ok=True)
                (folder / "a.flac").write_bytes(b"x")
            shutil.rmtree(run.path / "probes", ignore_errors=True)

    thread = threading.Thread(target=prune_and_save)
    thread.start()
    try:
        assert all(size_of(run.path) >= 0 for _ in range(300))
    finally:
        stop.set()
        thread.join()


def test_starred_steps_survive_pruning(tmp_path: Path, three_clips: list[Example]) -> None:
    options = options_for("lite", steps=2, save_every_steps=1, keep=1, keep_light=1)
    trainer = trainer_for(create_run(tmp_path, "r", "v", "lite"), options, three_clips, listen=True)
    trainer.run.write(trainer.info)
    fit(trainer)
    star(trainer.run, 2)
    longer = trainer_for(
        trainer.run, options_for("lite", steps=5, save_every_steps=1, keep=1, keep_light=3), three_clips, listen=True
    )
    longer.restore()
    fit(longer)
    found = {c.step: c for c in list_checkpoints(trainer.run)}
    assert found[2].full is not None
    assert found[2].light is not None
    assert 4 not in {step for step, c in found.items() if c.full}


@pytest.mark.parametrize("family", ["lite", "tiny"])
def test_a_light_checkpoint_is_a_voice(tmp_path: Path, family: str) -> None:
    recipe = recipe_for(family, options_for(family))
    save_config(recipe.config, tmp_path / "config.json")
    folder = light.save_light(tmp_path / "light", 7, recipe.light_tensors(), tmp_path / "config.json", {"voice": "v"})
    model = load_model(folder)
    assert (model.card["step"], model.card["precision"]) == (7, "fp16")
    assert json.loads((folder / "manifest.json").read_text())["light"] is True
    assert light.save_light(tmp_path / "light", 7, {}, tmp_path / "config.json", {}) == folder
    full = sum(t.numel() * 4 for t in recipe.generator.state_dict().values())
    assert (folder / "model.safetensors").stat().st_size < 0.55 * full + 20_000


def test_weights_beyond_half_precision_are_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ModelFileError, match="loud"):
        light.save_light(tmp_path / "light", 1, {"loud": torch.tensor([1e6])}, tmp_path / "config.json", {})
    assert light.list_light(tmp_path / "light") == []


def test_thinning_keeps_the_course_of_the_run(tmp_path: Path) -> None:
    for step in [1, 2, 3, 10, 20, 30]:
        (tmp_path / f"step_{step:08d}").mkdir()
    light.thin(tmp_path, 4, also=[2])
    assert [light.step_of(p) for p in light.list_light(tmp_path)] == [1, 2, 20, 30] or [
        light.step_of(p) for p in light.list_light(tmp_path)
    ] == [1, 2, 10, 30]


@pytest.mark.slow  # the real discriminator and its moments take half a gigabyte
def test_a_checkpoint_goes_to_upstream_with_its_optimisers(tmp_path: Path, three_clips: list[Example]) -> None:
    from core.engines.sovits.checkpoint import read_upstream
    from core.engines.sovits.export import export_upstream
    from core.errors import BadInput
    from tests.training.trainers import end_of

    recipe = create_recipe(small_config("tiny"), options_for("tiny"))
    options = options_for("tiny", steps=1)
    trainer = trainer_for(create_run(tmp_path, "r", "v", "tiny"), options, three_clips, recipe)
    fit(trainer)
    end = end_of(trainer)
    paths = export_upstream(end, trainer.run.config_file, tmp_path / "out")
    assert [p.name for p in paths] == ["G_1.pth", "D_1.pth", "config.json"]
    for path, name in zip(paths, ("generator", "discriminator"), strict=False):
        found = read_upstream(path)
        assert all(torch.equal(found.tensors[key], value) for key, value in end.tensors[name].items())
        assert found.learning_rate == pytest.approx(1e-4)
        first = found.optimizer["state"][0]["exp_avg"]
        assert torch.equal(first, end.tensors["optimisers"][f"{name}.0.exp_avg"])
    lite = small_config("lite")
    save_config(lite, tmp_path / "lite.json")
    with pytest.raises(BadInput, match="lite"):
        export_upstream(end, tmp_path / "lite.json", tmp_path / "out")
