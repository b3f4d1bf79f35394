"""`python -m benchmarks parity`: it passes what is right, and fails what is wrong, unknown or broken, by name."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from benchmarks.parity import discriminator, markdown, run
from benchmarks.parity.base import Sheet, compare
from benchmarks.parity.cosyvoice2_sessions import (
    schedule,
    upstream_chunks,
    upstream_source,
)
from benchmarks.parity.cosyvoice2_speech import _corrected, _listed, _Speech
from benchmarks.parity.recipe import fill, inputs, rng, speaker_weights
from core.engines.cosyvoice2.decoding import Interleaved
from core.engines.cosyvoice2.flow import Flow, Prompt
from core.engines.cosyvoice2.hift import Hift
from core.engines.cosyvoice2.language_model import LanguageModel
from core.engines.sovits.losses import adversarial_loss, discriminator_loss, feature_loss
from core.engines.sovits.model import SovitsGenerator
from core.nn.noise import NoNoise
from core.paths import REPO_ROOT
from tests.engines.cosyvoice2 import conftest as tiny
from tests.engines.cosyvoice2.conftest import tiny_language_model
from tests.engines.cosyvoice2.tiny_folder import _normed
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


def save_case(folder: Path, name: str, io: dict[str, torch.Tensor], about: dict[str, str] | None = None) -> None:
    save_file({key: value.clone().contiguous() for key, value in io.items()}, folder / f"{name}.io.safetensors", about)


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


def test_inputs_that_a_case_leaves_out_are_the_recipes_and_its_sizes_those_of_its_weights(tmp_path: Path) -> None:
    """Without metadata and without inputs; a speaker mix and another speaker among the runs."""
    from benchmarks.parity.generator import case_config

    config = case_config({**GENERATOR, **VARIANTS["tiny"]})
    model = SovitsGenerator(config)
    fill(model)
    model.eval()
    drawn, weights = inputs(6, 9, 1, 7), speaker_weights(9, 2)
    given = (drawn["c"], drawn["f0"], drawn["uv"])
    io = {"in.c": drawn["c"]}
    for name, speaker in {"": torch.tensor([[1]]), "_spkmix": weights, "_sid0": torch.tensor([[0]])}.items():
        audio, _ = model.infer(*given, speaker, drawn["vol"], generator=NoNoise())
        io[f"zero_noise{name}.audio"] = audio
    save_case(tmp_path, "g", io)
    save_file({name: tensor.clone() for name, tensor in model.state_dict().items()}, tmp_path / "g.weights.safetensors")
    # Heads and dilations leave no trace in shapes; these are not upstream's defaults, and two say so.
    (tmp_path / "g.json").write_text(json.dumps({"config": {"model": {**GENERATOR, **VARIANTS["tiny"]}}}))
    result = results(tmp_path)["g"]
    assert result["passed"], result
    assert len(result["quantities"]) == 6


def test_automatic_pitch_that_differs_in_its_last_bits_is_judged_by_its_sound_given_theirs(tmp_path: Path) -> None:
    from benchmarks.parity.generator import case_config

    model = SovitsGenerator(case_config(GENERATOR))
    fill(model)
    model.eval()
    n = 300
    drawn, sid = inputs(6, n, 1, 7), torch.tensor([[1]])
    _, f0 = model.infer(drawn["c"], drawn["f0"], drawn["uv"], sid, predict_f0=True, generator=NoNoise())
    theirs = f0 * (1 + 5e-5)
    audio, _ = model.infer(drawn["c"], theirs, drawn["uv"], sid, generator=NoNoise())
    io = {"in.c": drawn["c"], "zeronoise_predictf0.f0": theirs, "zeronoise_predictf0.audio": audio}
    save_case(tmp_path, "g", io, {"config": json.dumps(GENERATOR)})
    result = results(tmp_path)["g"]
    assert result["passed"], result
    assert "given their pitch" in result["quantities"][0]["note"]
    save_case(tmp_path, "g", {**io, "zeronoise_predictf0.audio": audio + 0.01}, {"config": json.dumps(GENERATOR)})
    assert not results(tmp_path)["g"]["passed"]


def test_folders_within_are_run_and_notes_are_no_cases(tmp_path: Path) -> None:
    for name in ("a", "b/c"):
        (tmp_path / name).mkdir(parents=True)
        write_generator(tmp_path / name, "g", {})
    for aside in ("README.md", "INDEX_npz.json", "LICENSE", "a/notes.txt"):
        (tmp_path / aside).write_text("{", encoding="utf-8")
    figures = run([str(tmp_path)])
    assert [result["case"] for result in figures["results"]] == ["a/g", "b/c/g"]
    assert not figures["failed"]


@pytest.mark.parametrize("name", ["g.io.safetensors", "x.safetensors", "x.npz", "x.json"])
def test_a_damaged_file_fails_alone_and_in_words(tmp_path: Path, name: str) -> None:
    write_generator(tmp_path, "fine", {})
    whole = (tmp_path / "fine.io.safetensors").read_bytes()
    (tmp_path / name).write_bytes(whole[:300])
    figures = run([str(tmp_path)])
    assert {r["case"]: r["passed"] for r in figures["results"]} == {"fine": True, name: False}
    assert "damaged" in figures["results"][1]["quantities"][0]["note"]


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
    cases: dict[str, Any] = {"0": {"L": 10, "n": 4, "pre": 1, "pieces": [[0, 4], [3, 8], [7, 10]]}}
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


# --- CosyVoice

flow, dit_flow, hift, prompt = tiny.flow, tiny.dit_flow, tiny.hift, tiny.prompt  # their fixtures, for this file too


@pytest.fixture(scope="module")
def spoken() -> tuple[LanguageModel, list[int], list[int]]:
    """A tiny language model, thirty ids of text and as many of prompt speech."""
    generator = torch.Generator().manual_seed(8)
    draw = torch.randint(0, 20, (2, 45), generator=generator)
    return tiny_language_model(), draw[0].tolist(), draw[1].tolist()


@pytest.mark.parametrize(
    ("n_text", "n_said", "n_spoken", "why"),
    [
        (8, 0, 0, "feeds twice"),
        (23, 9, 32, "feeds twice"),
        (4, 3, 32, "drops: 17"),
        (12, 9, 15, "skips"),
        (4, 0, 0, ""),
    ],
)
def test_where_upstreams_bugs_change_the_tokens_the_bug_is_named(
    spoken: tuple[LanguageModel, list[int], list[int]], n_text: int, n_said: int, n_spoken: int, why: str
) -> None:
    """And a list that no bug explains fails."""
    model, text, speech = spoken
    prompts = text[-n_said:] if n_said else [], speech[:n_spoken]
    request = _Speech(model, text[:n_text], *prompts, longest=30)
    theirs = request.run(Interleaved, upstream=True)
    given = {"tokens": theirs.tokens, "steps": [list(step) for step in theirs.fed]}
    found = _listed("bi", request, given, prompts)
    assert all(quantity.passed for quantity in found), found
    assert why in found[2].note

    wrong = {**given, "tokens": [*theirs.tokens, 7]}
    assert not all(quantity.passed for quantity in _listed("bi", request, wrong, prompts))
    changed = replace(theirs, tokens=[19 - token for token in theirs.tokens], fed=[(1, 1), *theirs.fed[1:]])
    assert not _corrected("bi", request, changed, request.run(Interleaved, upstream=False)).passed


def write_sounds(
    folder: Path, flow: Flow, hift: Hift, prompt: Prompt, about: dict[str, Any]
) -> dict[str, torch.Tensor]:
    """A session whose hop had grown."""
    tokens = torch.arange(110)[None] % 20
    hops = schedule(110, prompt.tokens.shape[1], flow.config.lookahead, 50)
    torch.manual_seed(42)
    chunks = list(upstream_chunks(flow, hift, upstream_source, tokens, prompt, hops))
    values = {
        "speech_token": tokens,
        "flow_prompt_speech_token": prompt.tokens,
        "prompt_speech_feat": prompt.mel.transpose(1, 2),
        "flow_embedding": prompt.embedding,
        **{f"session_chunk{index}": chunk for index, chunk in enumerate(chunks)},
    }
    save_file({key: value.clone().contiguous() for key, value in values.items()}, folder / "s.safetensors")
    (folder / "s.json").write_text(json.dumps(about))
    return values


def write_weights(folder: Path, name: str, flow: Flow, hift: Hift) -> None:
    weights = {f"{name}.flow.{key}": value for key, value in flow.state_dict().items()}
    weights |= {f"{name}.hift.{key.removeprefix('generator.')}": x for key, x in _normed(hift.state_dict()).items()}
    save_file({key: value.clone().contiguous() for key, value in weights.items()}, folder / f"{name}.safetensors")
    (folder / f"{name}.json").write_text(json.dumps({"chunk": 5, "num_heads": 2}))


def test_a_session_is_recognised_by_what_makes_it(
    flow: Flow, dit_flow: Flow, hift: Hift, prompt: Prompt, tmp_path: Path
) -> None:
    """Hops by the lengths of the chunks; weights from beside."""
    write_weights(tmp_path, "z_another", dit_flow, hift)
    write_weights(tmp_path, "own", flow, hift)
    values = write_sounds(tmp_path, flow, hift, prompt, {"seed": 42})
    found = results(tmp_path)
    assert all(result["passed"] for result in found.values())
    notes = {q["name"]: q["note"] for q in found["s"]["quantities"]}
    assert notes.keys() == {name for name in values if name.startswith("session")}
    assert "hops [93]" in notes["session_chunk1"]
