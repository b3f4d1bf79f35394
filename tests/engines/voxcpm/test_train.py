"""The fine-tuning job on tiny models: it ends in a model that speaks, and goes on bit for bit."""

import json
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from core.dataset.voices import Voice
from core.engines.voxcpm.config_yaml import parse_yaml
from core.engines.voxcpm.engine import load
from core.engines.voxcpm.export import merge_lora
from core.engines.voxcpm.models import find_model
from core.engines.voxcpm.options import VoxOptions
from core.engines.voxcpm.package import module_of
from core.errors import BadInput, Conflict, ModelFileError, NotFound
from core.jobs.context import ForegroundContext
from core.models.safe_load import load_checkpoint
from core.settings import Settings
from core.training import generations
from core.training.proof import BadRender
from core.training.runs import open_run
from tests.engines.voxcpm.tiny import build
from tests.engines.voxcpm.voice import QUICK, make_voice, studio_settings, train

SAID = "Hello world, this is a short test."
HOW = {"seed": 3, "retries": 0, "steps": 4, "max_patches": 6}


@pytest.fixture
def settings(workspace: Path) -> Settings:
    return studio_settings(workspace)


@pytest.fixture
def voice(settings: Settings) -> Voice:
    return make_voice(settings)


def bare(folder: Path, architecture: str, lora: Path | None = None) -> np.ndarray:
    """What the package alone says with a model, and with a LoRA on it."""
    parts = module_of(architecture)
    kind = parts.VoxCPM2Model if architecture == "voxcpm2" else parts.VoxCPMModel
    config = None
    if lora is not None:
        config = parts.LoRAConfig(**json.loads((lora / "lora_config.json").read_text("utf-8"))["lora_config"])
    model = kind.from_local(str(folder), optimize=False, device="cpu", lora_config=config)
    if lora is not None:
        loaded, skipped = model.load_lora_weights(str(lora))
        assert loaded
        assert not skipped
    torch.manual_seed(3)
    audio, _, _ = model.generate_with_prompt_cache(SAID, None, max_len=6, inference_timesteps=4)
    return np.asarray(audio[0])


def ours(folder: Path) -> np.ndarray:
    return load(folder).speak(SAID, VoxOptions(**HOW)).audio


def train_export(settings: Settings, run: str, step: int) -> dict[str, Any]:
    """The job "export"."""
    from core.training.exporting import run_export

    return run_export({"run": run, "step": step}, ForegroundContext(settings))


def weights(run: Path, step: int, stem: str) -> dict[str, torch.Tensor]:
    found = generations.load_generation(run / "checkpoints" / generations.generation_name(step))
    return {f"{group}/{name}": t for group in (stem, "optimisers") for name, t in found.tensors[group].items()}


def test_a_lora_is_trained_found_by_name_and_merged(
    settings: Settings, voice: Voice, tiny: Callable[[str], Path], tmp_path: Path
) -> None:
    base = tiny("voxcpm2")
    done = train(settings, "step 4/5", voice=voice.name, base=str(base), name="mine", **{**QUICK, "steps": 5})
    assert (done["step"], done["stopped"]) == (4, True)  # tests/cli/test_train_voxcpm.py goes to the end
    assert done["probe"]["rms_db"] > -60
    info = open_run(settings.runs, "mine").read()
    assert (info.state, info.saved_step) == ("stopped", 4)
    assert "c2 was left out: it has no transcript." in info.notes

    folder = Path(done["model"])
    card = json.loads((folder / "card.json").read_text("utf-8"))
    assert (card["engine"], card["preset"], card["clips"]) == ("voxcpm", "lora", 4)
    assert find_model(settings, "mine") == find_model(settings, "mine", voice) == folder
    said = ours(folder)
    assert said.size != ours(base).size or np.abs(said - ours(base)).max() > 1e-4
    np.testing.assert_allclose(said, bare(base, "voxcpm2", folder), atol=1e-4)
    merged = merge_lora(base, folder, tmp_path / "merged")
    np.testing.assert_allclose(ours(merged), said, atol=1e-4)
    np.testing.assert_allclose(bare(merged, "voxcpm2"), said, atol=1e-4)
    with pytest.raises(BadInput, match="there already"):
        merge_lora(base, folder, merged)
    with pytest.raises(ModelFileError, match="from another model"):
        merge_lora(tiny("voxcpm"), folder, tmp_path / "other")

    run = settings.runs / "mine"
    checkpoint = run / "checkpoints" / "step_00000004"
    size = sum(file.stat().st_size for file in checkpoint.glob("*.safetensors"))
    n_weights = sum(t.numel() for name, t in weights(run, 4, "lora").items() if name.startswith("lora/"))
    assert size < 12 * n_weights + 60_000  # weights and two moments, none of the base model
    light = run / "light" / "step_00000002"
    assert sum(file.stat().st_size for file in light.iterdir()) < 4 * n_weights + 20_000
    heard = {file.name for file in (run / "probes" / "step_00000002").iterdir()}
    assert heard == {"sentence_1.flac", "sentence_1_cloned.flac"}


def test_a_full_run_goes_on_bit_for_bit_and_validation_changes_nothing(
    settings: Settings, voice: Voice, tiny: Callable[[str], Path]
) -> None:
    base = tiny("voxcpm")
    common = {**QUICK, "voice": voice.name, "base": str(base), "preset": "full", "steps": 5, "accumulate": 2}
    common |= {"batch_size": 1, "max_batch_tokens": 40, "save_every_steps": 3}
    whole = train(settings, "step 4/5", name="whole", **common)
    assert (whole["stopped"], whole["step"]) == (True, 4)
    # Validated after every step and its samples measured, which may not show in the weights either.
    train(settings, "step 3/5", name="parts", **{**common, "probe_every_steps": 1, "measures": True})
    again = train(settings, "step 4/5", resume="parts")
    assert again["step"] == 4
    one, other = (weights(settings.runs / name, 4, "model") for name in ("whole", "parts"))
    assert one.keys() == other.keys()
    assert [name for name, tensor in one.items() if not torch.equal(tensor, other[name])] == []
    rows = [open_run(settings.runs, name).metrics() for name in ("whole", "parts")]
    losses = [[(row["step"], row["loss/total"]) for row in some] for some in rows]
    assert losses[0] == losses[1]
    assert [row["step"] for row in rows[1] if "val/loss/total" in row] == [1, 2, 3, 4]
    assert [row["step"] for row in rows[0] if "val/loss/total" in row] == [3]
    if find_spec("resemblyzer"):
        assert [row["step"] for row in rows[1] if "probe/speaker_similarity" in row] == [3]

    exported = train_export(settings, "whole", 4)
    assert {"config.json", "model.safetensors", "audiovae.pth"} <= set(exported["files"])
    np.testing.assert_array_equal(ours(Path(exported["folder"])), ours(Path(whole["model"])))
    folder = Path(whole["model"])
    np.testing.assert_allclose(bare(folder, "voxcpm"), ours(folder), atol=1e-4)
    light = settings.runs / "whole" / "light" / "step_00000004"
    assert ours(light).size
    assert (light / "audiovae.pth").samefile(base / "audiovae.pth")


def test_the_run_as_the_packages_script_takes_it(settings: Settings, voice: Voice, tiny: Callable[[str], Path]) -> None:
    done = train(settings, "step 1/", voice=voice.name, base=str(tiny("voxcpm2")), **{**QUICK, "learning_rate": 1e-5})
    run = settings.runs / done["run"]
    text = (run / "finetune.yaml").read_text("utf-8")
    plain = yaml.safe_load(text)  # as the script reads it
    assert (plain["learning_rate"], plain["sample_rate"], plain["lora"]["r"]) == (1e-5, 16000, 32)
    assert parse_yaml(text).num_iters == 4
    rows = [json.loads(line) for line in Path(plain["train_manifest"]).read_text("utf-8").splitlines()]
    assert len(rows) == 4
    assert all(Path(row["audio"]).is_file() and row["text"] for row in rows)


@pytest.mark.slow
def test_a_model_that_is_silent_is_not_called_completed(settings: Settings, voice: Voice, tmp_path: Path) -> None:
    base = build(tmp_path / "mute", "voxcpm2")
    saved = load_checkpoint(base / "audiovae.pth")
    for name, tensor in saved["state_dict"].items():
        if name.startswith("decoder.") and name.endswith(("weight_g", "bias")):
            tensor.zero_()
    torch.save(saved, base / "audiovae.pth")
    with pytest.raises(BadRender, match="silence"):
        train(settings, voice=voice.name, base=str(base), name="mute", **{**QUICK, "steps": 1})
    info = open_run(settings.runs, "mute").read()
    assert (info.state, info.saved_step, info.model) == ("failed", 1, None)
    assert list(voice.models.iterdir()) == []


def test_what_cannot_be_trained(settings: Settings, voice: Voice, tiny: Callable[[str], Path], tmp_path: Path) -> None:
    base = str(tiny("voxcpm"))

    def refused(error: type[Exception], words: str, **more: Any) -> None:
        with pytest.raises(error, match=words):
            train(settings, voice=voice.name, **{**QUICK, "base": base, **more})

    refused(BadInput, "sample_rate is 44100, this model's is 16000", sample_rate=44100)
    refused(NotFound, "no VoxCPM model 'nothing'", base="nothing")
    refused(BadInput, "the preset is full", preset="full", lora={"enable_lm": True})
    refused(BadInput, "nothing is learnt", lambda_diff=0, lambda_stop=0)
    refused(BadInput, "name no layer", lora={"enable_lm": True, "target_modules_lm": ["none"]})
    make_voice(settings, "mute", ("", "!"))
    with pytest.raises(BadInput, match=r"no clip to learn from \(c0: it has no transcript"):
        train(settings, voice="mute", **{**QUICK, "base": base})

    folder = build(tmp_path / "base", "voxcpm", seed=1)
    train(settings, "step 1/", voice=voice.name, name="begun", base=str(folder), **QUICK)
    build(folder, "voxcpm", seed=2)
    with pytest.raises(Conflict, match="begun with another model"):
        train(settings, resume="begun")
