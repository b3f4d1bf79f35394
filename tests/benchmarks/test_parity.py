"""`python -m benchmarks parity`: it passes what is right, and fails what is wrong, unknown or broken, by name."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from benchmarks.parity import discriminator, markdown, run
from benchmarks.parity.base import Sheet, compare
from benchmarks.parity.recipe import fill, rng
from core.engines.sovits.losses import adversarial_loss, discriminator_loss, feature_loss
from core.engines.sovits.model import SovitsGenerator
from core.nn.noise import NoNoise
from core.paths import REPO_ROOT
from tests.engines.sovits.conftest import read_small

GENERATOR: dict[str, Any] = {
    "inter_channels": 8,
    "hidden_channels": 8,
    "filter_channels": 8,
    "n_layers": 1,
    "resblock_kernel_sizes": [3],
    "resblock_dilation_sizes": [[1, 3, 5]],
    "upsample_rates": [4, 2],
    "upsample_kernel_sizes": [8, 4],
    "upsample_initial_channel": 32,
    "gin_channels": 4,
    "ssl_dim": 6,
    "n_speakers": 2,
    "n_layers_trans_flow": 1,
    "n_flow_layer": 2,
}
SIDES = ("real", "fake")
VARIANTS: dict[str, dict[str, Any]] = {
    "transformer_flow": {"use_transformer_flow": True},
    "transformer_flow_shared": {"use_transformer_flow": True, "flow_share_parameter": True},
    "no_automatic_pitch": {"use_automatic_f0_prediction": False},
    "second_kind_of_blocks": {"resblock": "2"},
    "snake_second_kind": {"resblock": "2", "vocoder_name": "nsf-snake-hifigan"},
    "tiny": {"use_depthwise_conv": True, "flow_share_parameter": True, "vol_embedding": True},
}


def results(folder: Path, *options: str) -> dict[str, dict[str, Any]]:
    """Case name -> its result."""
    return {result["case"]: result for result in run([str(folder), *options])["results"]}


def write_generator(folder: Path, name: str, changes: dict[str, Any]) -> dict[str, torch.Tensor]:
    """A made-up case without weights: the expected values come from a model filled by the recipe."""
    from benchmarks.parity.generator import case_config

    model = SovitsGenerator(case_config({**GENERATOR, **changes}))
    fill(model)
    model.eval()
    n = 9
    io = {
        "in.c": torch.from_numpy((0.5 * rng(7).standard_normal((1, 6, n))).astype(np.float32)),
        "in.f0": 200 + 10 * torch.arange(n, dtype=torch.float32)[None],
        "in.uv": torch.ones(1, n),
        "in.sid": torch.tensor([[1]]),
        "in.vol": torch.full((1, n), 0.1),
    }
    vol = io["in.vol"] if model.config.model.vol_embedding else None
    audio, _ = model.infer(io["in.c"], io["in.f0"], io["in.uv"], io["in.sid"], vol, generator=NoNoise())
    io["zeronoise.audio"] = audio
    save_file(io, folder / f"{name}.io.safetensors", {"config": json.dumps({**GENERATOR, **changes})})
    return io


@pytest.mark.parametrize("only", ["signal", "diffusion", "pieces"])
def test_the_fixtures_pass(shared_dir: Path, only: str) -> None:
    """Those that are quick; `docs/results/parity.md` has all."""
    found = results(shared_dir / "fixtures" / "sovits", "--only", only)
    assert found
    for name, result in found.items():
        assert result["passed"], f"{name}: {[q['name'] for q in result['quantities'] if not q['passed']]}"


def test_the_recipe_makes_the_weights_of_the_files(shared_dir: Path) -> None:
    small = read_small(shared_dir, "tiny_dw_share_vol")
    model = SovitsGenerator(small.config)
    fill(model)
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, small.weights[name]), name


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_of_the_generator_runs_from_its_config_alone(tmp_path: Path, variant: str) -> None:
    write_generator(tmp_path, "anything", VARIANTS[variant])
    result = results(tmp_path)["anything"]
    assert result["passed"], result
    assert {q["name"] for q in result["quantities"]} == {"zeronoise.audio", "zeronoise.audio (prepared)"}


def _wrong_number(folder: Path) -> str:
    io = load_file(folder / "g.io.safetensors")
    io["zeronoise.audio"][0, 0, 5] += 1e-3
    save_file(io, folder / "g.io.safetensors", {"config": json.dumps(GENERATOR)})
    return "zeronoise.audio"


def _not_a_number(folder: Path) -> str:
    io = load_file(folder / "g.io.safetensors")
    io["zeronoise.audio"][0, 0, 5] = float("nan")
    save_file(io, folder / "g.io.safetensors", {"config": json.dumps(GENERATOR)})
    return "zeronoise.audio"


def _unknown_value(folder: Path) -> str:
    io = load_file(folder / "g.io.safetensors")
    save_file(
        {**io, "zeronoise.colour": torch.zeros(1)}, folder / "g.io.safetensors", {"config": json.dumps(GENERATOR)}
    )
    return "zeronoise.colour"


def _unknown_module(folder: Path) -> str:
    io = load_file(folder / "g.io.safetensors")
    save_file(
        {**io, "zeronoise.mid.nose": torch.zeros(1)}, folder / "g.io.safetensors", {"config": json.dumps(GENERATOR)}
    )
    return "zeronoise.mid.nose"


def _bad_config(folder: Path) -> str:
    io = load_file(folder / "g.io.safetensors")
    save_file(io, folder / "g.io.safetensors", {"config": json.dumps({**GENERATOR, "n_heads": 3})})
    return "run"


def _unknown_tensors(folder: Path) -> str:
    save_file({"x": torch.zeros(1)}, folder / "other.io.safetensors")
    return "case"


def _unknown_array(folder: Path) -> str:
    np.savez(folder / "other.npz", what=np.zeros(3))
    return "case"


def _unknown_json(folder: Path) -> str:
    (folder / "other.json").write_text("{}")
    return "case"


@pytest.mark.parametrize(
    "spoil",
    [
        _wrong_number,
        _not_a_number,
        _unknown_value,
        _unknown_module,
        _bad_config,
        _unknown_tensors,
        _unknown_array,
        _unknown_json,
    ],
)
def test_what_is_wrong_fails_by_name(tmp_path: Path, spoil: Callable[[Path], str]) -> None:
    write_generator(tmp_path, "g", {})
    assert not run([str(tmp_path)])["failed"]
    name = spoil(tmp_path)
    figures = run([str(tmp_path)])
    assert figures["failed"]
    failed = {q["name"] for result in figures["results"] for q in result["quantities"] if not q["passed"]}
    assert name in failed
    assert "FAILED" in markdown(figures)
    json.dumps(figures, allow_nan=False)


def test_an_empty_folder_is_no_success(tmp_path: Path) -> None:
    assert run([str(tmp_path)])["failed"]


def test_the_exit_status_tells(tmp_path: Path) -> None:
    cases = {"0": {"L": 10, "n": 4, "pre": 1, "pieces": [[0, 4], [3, 8], [7, 10]]}}
    (tmp_path / "pieces.json").write_text(json.dumps({"split_list_by_n": cases}))

    def status() -> tuple[int, dict[str, Any]]:
        command = [sys.executable, "-m", "benchmarks", "parity", str(tmp_path), "--json"]
        done = subprocess.run(command, cwd=REPO_ROOT, capture_output=True, text=True, check=False)
        return done.returncode, json.loads(done.stdout)["figures"]

    code, figures = status()
    assert (code, figures["quantities"]) == (0, 1)
    cases["0"]["pieces"][0] = [0, 5]
    (tmp_path / "pieces.json").write_text(json.dumps({"split_list_by_n": cases}))
    code, figures = status()
    assert code == 1
    assert figures["results"][0]["quantities"][0]["difference"] > 0


def test_a_discriminators_values_are_found_by_the_words_of_their_names() -> None:
    """On small stand-ins for logits and maps: the whole discriminator has 47 million weights."""
    torch.manual_seed(2)
    results = {side: ([torch.rand(2, 7), torch.rand(2, 9)], [[torch.rand(3), torch.rand(4)]] * 2) for side in SIDES}
    (real, real_maps), (fake, fake_maps) = results["real"], results["fake"]
    expected = {
        "y_d_r.0": real[0],
        "y_d_g.1": fake[1],
        "logits_hat1": fake[1],
        "fmap_g.0.absmean": torch.stack([m.abs().mean() for m in fake_maps[0]]),
        "fmap_r_mean.1.0": real_maps[1][0].abs().mean(),
        "loss_disc": discriminator_loss(real, fake),
        "loss_gen": adversarial_loss(fake),
        "loss_fm": feature_loss(real_maps, fake_maps),
        "losses_disc_r.1": (1 - real[1]).square().mean(),
    }
    values = dict(discriminator.values_of(results))
    for name, value in expected.items():
        for wrong in (False, True):
            sheet = Sheet({name: value + 0.01 * wrong})
            discriminator.check(sheet, name, values)
            assert [q.passed for q in sheet.close()] == [not wrong], name


def test_the_waves_of_a_discriminator_are_found_by_their_side() -> None:
    given = torch.rand(2, 1, 10240)
    sheet = Sheet({"in.y_hat": given, "logits_y.0": torch.zeros(2, 5000), "loss": torch.zeros(())})
    found = discriminator.wave_of(sheet, "fake")
    assert found is not None
    assert torch.equal(found, given)
    assert discriminator.wave_of(sheet, "real") is None


def test_differences_are_of_the_larger_of_one_and_the_peak() -> None:
    assert compare("x", np.array([0.5]), np.array([0.25]), 1).difference == 0.25
    assert compare("x", np.array([110.0]), np.array([100.0]), 1).difference == pytest.approx(0.1)
    assert not compare("x", np.zeros(3), np.zeros(4), 1).passed
    assert compare("x", np.zeros((1, 3)), np.zeros(3), 0).passed


def test_a_sheet_counts_what_nobody_used() -> None:
    sheet = Sheet({"a": torch.zeros(1), "b": torch.zeros(1), "c": torch.zeros(1)})
    sheet.given("a")
    sheet.check("b", 0.0, 0.0)
    assert [(q.name, q.passed) for q in sheet.close()] == [("b", True), ("c", False)]
