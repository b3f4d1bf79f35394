"""`train --engine voxcpm` on the command line: a YAML of the package's script trains, goes on, and speaks."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core.engines.voxcpm import package
from tests.cli.conftest import Command
from tests.engines.voxcpm.voice import TEXTS, make_voice, studio_settings

YAML = """
pretrained_path: {base}
train_manifest: {manifest}
val_manifest: ""
sample_rate: 16000
batch_size: 2
grad_accum_steps: 1
num_workers: 0
num_iters: 1
log_interval: 1
valid_interval: 500
save_interval: 500
learning_rate: 1e-5
weight_decay: 0.01
warmup_steps: 0
max_steps: 3
max_batch_tokens: 8192
save_path: {out}
tensorboard: {out}/logs
lambdas:
  loss/diff: 1.0
  loss/stop: 1.0
"""


@pytest.fixture
def answer(workspace: Path, capfd: pytest.CaptureFixture[str]) -> Callable[..., dict[str, Any]]:
    """`answer(*words) -> the JSON line`."""
    from cli.main import main

    def call(*words: str) -> dict[str, Any]:
        stdout = os.dup(1)
        capfd.readouterr()
        try:
            where = [] if words[0] == "models" else ["--device", "cpu", "--threads", "1"]
            code = main([*words, "--workspace", str(workspace), *where, "--json"])
        finally:
            os.dup2(stdout, 1)  # the command points it elsewhere, for the life of its process
            os.close(stdout)
        said: dict[str, Any] = json.loads(capfd.readouterr().out.strip().splitlines()[-1])
        assert said["ok"] == (code == 0), said
        return said

    return call


@pytest.fixture
def model(tmp_path: Path) -> Path:
    if not package.installed():
        pytest.skip('the package voxcpm is not installed (pip install --no-deps "voxcpm>=2.0.3,<2.1")')
    from tests.engines.voxcpm.tiny import build

    return build(tmp_path / "tiny", "voxcpm")


def test_a_yaml_trains_goes_on_and_speaks(
    answer: Callable[..., dict[str, Any]], model: Path, workspace: Path, tmp_path: Path
) -> None:
    voice = make_voice(studio_settings(workspace), texts=TEXTS[:2])
    config = tmp_path / "ft.yaml"
    manifest = voice.path / "train.jsonl"
    config.write_text(YAML.format(base=model, manifest=manifest, out=tmp_path / "out" / "anna"), "utf-8")
    quick = ("--set", 'sentences=["Hi."]')
    done = answer("train", "Ann", "--engine", "voxcpm", "--config", str(config), "--lora", *quick)
    assert (done["ok"], done["run"], done["step"]) == (True, "anna", 1), done
    more = answer("train", "--resume", "anna", "--steps", "2")
    assert (more["ok"], more["step"], more["stopped"]) == (True, 2, False), more
    info = json.loads((studio_settings(workspace).runs / "anna" / "run.json").read_text("utf-8"))
    assert [info["options"][name] for name in ("learning_rate", "max_steps", "preset")] == [1e-5, 3, "lora"]
    assert [one["from_step"] for one in info["sessions"]] == [0, 1]
    out = tmp_path / "said.wav"
    cut = ("--set", "max_patches=4", "--set", "steps=2", "--set", "retries=0")
    said = answer("say", "Hello.", "--engine", "voxcpm", "--model", "anna", "--out", str(out), *cut)
    assert said["ok"], said
    assert out.stat().st_size > 1000
    assert said["model"] == more["model"]
    made = answer("models", "merge", "anna", "--out", str(tmp_path / "whole"))
    assert (Path(made["made"]) / "model.safetensors").is_file(), made
    refused = answer("models", "merge", str(model), "--out", str(tmp_path / "x"))
    assert "whole model already" in refused["error"]["message"]
    listed = answer("models", "--voice", "Ann")["trained"]
    assert [(one["name"], one["engine"], one["step"]) for one in listed] == [("anna", "voxcpm", 2)]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("learning_rat: 1e-5", "learning_rat is not known (perhaps learning_rate)"),
        ("batch_size: many", "batch_size"),
        ("lora: {r: 4}", "enable_lm"),
    ],
)
def test_mistakes_in_the_yaml_are_named(command: Command, tmp_path: Path, line: str, said: str) -> None:
    command("voices", "--create", "Ann")
    config = tmp_path / "ft.yaml"
    config.write_text(f"pretrained_path: x\n{line}\n", "utf-8")
    assert said in command("train", "Ann", "--engine", "voxcpm", "--config", str(config), code=1)[1]


def test_what_does_not_go_together(command: Command, tmp_path: Path) -> None:
    command("voices", "--create", "Ann")
    config = tmp_path / "ft.yaml"
    config.write_text("pretrained_path: x\n", "utf-8")
    assert "takes no config file" in command("train", "Ann", "--config", str(config), code=1)[1]
    assert "no engine 'teapot'" in command("train", "Ann", "--engine", "teapot", code=1)[1]
    out, err = command("train", "Ann", "--engine", "voxcpm", "--set", "base=nothing", code=1)
    assert "no VoxCPM model 'nothing'" in err
    assert "FAIL" in out
    assert "Traceback" not in err
