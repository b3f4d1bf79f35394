"""The parts of a fine-tuning: batches by budget, the schedule, gradients with less memory, what is left out."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from core.engines.voxcpm.batches import Utterance, pack
from core.engines.voxcpm.config_yaml import FinetuneConfig, LoraSettings
from core.engines.voxcpm.learner import VoxLearner
from core.engines.voxcpm.lines import read_manifest
from core.engines.voxcpm.token_batches import TokenBatches
from core.engines.voxcpm.train_data import LEFT_OUT_NOTES, Example, gather, left_out_notes
from core.engines.voxcpm.train_options import VoxTrainOptions, params_of_config, to_config
from core.engines.voxcpm.trainable import Trainable, checkpoint_activations, load_for_training
from core.errors import BadInput
from core.jobs.context import ForegroundContext
from tests.engines.voxcpm.conftest import ARCHITECTURES
from tests.engines.voxcpm.tiny import build
from tests.engines.voxcpm.voice import TEXTS, make_voice, sound, studio_settings

LORA = LoraSettings(enable_lm=True, enable_dit=True, r=4, dropout=0.1)


def example(folder: Path, number: int, n_tokens: int, n_patches: int) -> Example:
    """A clip with latents on the disk."""
    path = folder / f"{number:064}.f.safetensors"
    generator = torch.Generator().manual_seed(number)
    save_file({"latents": torch.randn(n_patches, 4, 8, generator=generator)}, path)
    return Example(
        str(number), folder / "x.wav", "t", list(range(110, 110 + n_tokens)), path, None, n_patches,
        n_tokens + n_patches + 2,
    )  # fmt: skip


@given(
    st.lists(st.integers(1, 120), min_size=1, max_size=30), st.integers(1, 4), st.integers(1, 3),
    st.sampled_from([0, 50, 200]), st.integers(0, 3),
)  # fmt: skip
@settings(max_examples=40)
def test_each_pass_learns_every_clip_once_within_the_budget(
    lengths: list[int], size: int, parts: int, budget: int, seed: int
) -> None:
    examples = [Example(str(n), Path("a"), "", [], Path("b"), None, x, x + 2) for n, x in enumerate(lengths)]

    def made() -> TokenBatches:
        return TokenBatches(examples, size=size, parts=parts, max_tokens=budget, max_length=200, seed=seed)

    batches = made()
    seen: list[list[int]] = []
    while sum(map(len, seen)) < 2 * len(lengths):
        seen.append(batches.items(len(seen)))
    first = [index for batch in seen for index in batch][: len(lengths)]
    assert sorted(first) == list(range(len(lengths)))
    for batch in seen:
        chosen = sorted(lengths[index] + 2 for index in batch)
        for part in range(parts):
            begin, end = (len(chosen) * edge // parts for edge in (part, part + 1))
            mine = chosen[begin:end]
            assert len(mine) <= size
            assert not budget or len(mine) <= 1 or max(mine) * len(mine) <= budget
    assert made().items(len(seen) - 1) == seen[-1]  # whatever was asked for before


@pytest.mark.parametrize("architecture", ["voxcpm2"])
def test_the_parts_of_a_step_are_the_whole(tiny: Callable[[str], Path], tmp_path: Path, architecture: str) -> None:
    """The mean over parts of unlike sizes is the mean over all patches, and a part for which nothing is left is 0."""
    net = load_for_training(tiny(architecture), "cpu", None)
    examples = [example(tmp_path, n, 4 + n, 5 * n + 3) for n in range(3)]
    limits: dict[str, Any] = {"max_tokens": 0, "max_length": 512, "seed": 1}
    batches = TokenBatches(examples, size=1, parts=4, **limits)
    pieces = [batches.batch(0, 0, part, 4) for part in range(4)]
    assert sorted(round(piece.weight, 3) for piece in pieces) == [0.0] + [round(4 * n / 24, 3) for n in (3, 8, 13)]
    whole = TokenBatches(examples, size=4, parts=1, **limits).batch(0, 0)
    stops = []
    with torch.no_grad():
        for some in (pieces, [whole]):
            values = [float(net.model(**piece.tensors)["loss/stop"]) * piece.weight for piece in some]
            stops.append(sum(values) / len(some))
    assert stops[0] == pytest.approx(stops[1], rel=1e-4)
    moved = whole.to("cpu")
    assert moved.weight == whole.weight == 1.0
    assert moved.tensors.keys() == whole.tensors.keys()


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("lora", [None, LORA])
def test_checkpointing_changes_no_gradient(
    tiny: Callable[[str], Path], architecture: str, lora: LoraSettings | None
) -> None:
    found = []
    for checkpointed in (False, True):
        torch.manual_seed(0)
        net = load_for_training(tiny(architecture), "cpu", lora)
        if checkpointed:
            checkpoint_activations(net.model)
        network = Trainable(net.model).train()
        latents = torch.randn(9, net.model.patch_size, net.model.feat_dim, generator=torch.Generator().manual_seed(1))
        torch.manual_seed(2)
        answer = network(**pack([Utterance([110, 111, 112], latents)]))
        (answer["loss/diff"] + answer["loss/stop"]).backward()
        found.append({name: p.grad for name, p in network.named_parameters()})
        assert all(p.grad is None for p in net.model.audio_vae.parameters())
    for name, gradient in found[0].items():
        torch.testing.assert_close(gradient, found[1][name], msg=name)
    assert sum(float(g.abs().sum()) > 0 for g in found[0].values() if g is not None) > 5


def test_a_lora_learns_on_weights_of_half_the_size(tiny: Callable[[str], Path]) -> None:
    """As on a GPU: frozen weights in bfloat16, the LoRA in float32, under autocast."""
    net = load_for_training(tiny("voxcpm2"), "cpu", LORA)
    frozen = [p for p in net.model.parameters() if not p.requires_grad]
    for parameter in frozen:
        parameter.data = parameter.data.to(torch.bfloat16)
    network = Trainable(net.model).train()
    with torch.autocast("cpu", torch.bfloat16):
        answer = network(**pack([Utterance([110, 111], torch.randn(5, 4, 8))]))
    (answer["loss/diff"] + answer["loss/stop"]).backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in network.parameters())
    assert {p.dtype for p in network.parameters()} == {torch.float32}


def test_the_learning_rate_rises_and_falls_to_nothing() -> None:
    options = VoxTrainOptions(voice="v", warmup_steps=4, steps=100, max_steps=20)
    learner = VoxLearner(Trainable(torch.nn.Linear(1, 1)), options)
    rates = [learner.learning_rate_factor(step, 1) for step in range(30)]
    assert rates[:4] == [0.25, 0.5, 0.75, 1.0]
    assert rates[3:] == sorted(rates[3:], reverse=True)
    assert rates[20:] == [0.0] * 10


def test_options_go_to_the_yaml_and_back() -> None:
    config = FinetuneConfig(
        pretrained_path="/models/VoxCPM2", batch_size=3, learning_rate=2e-5, save_path="/out/anna", max_grad_norm=0.5,
        lora=LoraSettings(enable_proj=True, r=16), val_manifest=None, max_batch_tokens=4096, num_iters=70,
    )  # fmt: skip
    options = VoxTrainOptions.model_validate({"voice": "v", **params_of_config(config)})
    assert (options.name, options.preset, options.steps, options.keep_light) == ("anna", "lora", 70, 12)
    back = to_config(options, Path("/models/VoxCPM2"), (16000, 48000), True, save_path="/out/anna")
    changed = {key for key, value in back if value != getattr(config, key)}
    assert changed == {"out_sample_rate", "val_manifest"}
    full = VoxTrainOptions.model_validate({"voice": "v", **params_of_config(FinetuneConfig(pretrained_path="m"))})
    assert (full.preset, full.lora, full.learning_rate, full.max_steps, full.keep_light) == (
        "full",
        None,
        1e-4,
        10**5,
        2,
    )


def test_a_manifest_and_what_is_left_out_of_it(
    tiny: Callable[[str], Path], workspace: Path, tmp_path: Path, write_wav: Callable[..., Path]
) -> None:
    for name, seconds in (("a", 0.5), ("b", 0.6), ("long", 6.0)):
        write_wav(tmp_path / f"{name}.wav", sound(seconds, 1), 44100)
    (tmp_path / "noise.wav").write_bytes(b"this is no sound")
    rows: list[Any] = [
        {"audio": "a.wav", "text": "Hello.", "ref_audio": "b.wav", "duration": 0.5, "speaker": 3},
        {"audio": "a.wav", "text": "Again.", "ref_audio": None},
        *({"audio": name, "text": "Hello."} for name in ("long.wav", "noise.wav", "gone.wav")),
        *({"audio": "a.wav"}, {"text": "x"}, [1], {"audio": "a.wav", "text": "...", "is_prompt": True}),
        {"audio": "a.wav", "text": "..."},
    ]
    manifest = tmp_path / "train.jsonl"
    manifest.write_text("\n".join([*map(json.dumps, rows), "{", ""]), "utf-8")
    _, wrong = read_manifest(manifest)
    assert [place for place, _ in wrong] == [f"train.jsonl:{n}" for n in (6, 7, 8, 9, 11)]
    options = VoxTrainOptions(voice="v", train_manifest=str(manifest), num_workers=2)
    chosen = studio_settings(workspace)
    net = load_for_training(build(tmp_path / "short", "voxcpm2", max_length=40), "cpu", LORA)
    found = gather(options, net, make_voice(chosen), tmp_path / "cache", ForegroundContext(chosen))
    assert [one.text for one in found.train] == ["Hello.", "Again."]
    assert found.train[0].length == found.train[1].length + len(found.train[0].utterance().reference) + 2 + (
        len(found.train[0].tokens) - len(found.train[1].tokens)
    )
    why = dict(found.left_out[5:])
    assert list(why) == ["10-a", "3-long", "4-noise", "5-gone"]
    assert "the model has 40" in why["3-long"]
    assert "no transcript" in why["10-a"]
    notes = left_out_notes([("x", "y")] * (LEFT_OUT_NOTES + 3))
    assert notes[-1].startswith("3 more clips")
    old, voice = load_for_training(tiny("voxcpm"), "cpu", LORA), make_voice(chosen, "B", TEXTS[:1])
    with pytest.raises(BadInput, match="only VoxCPM 2"):
        gather(options, old, voice, tmp_path / "cache", ForegroundContext(chosen))
    manifest.write_text("{}\n", "utf-8")
    with pytest.raises(BadInput, match="names no clips"):
        read_manifest(manifest)
