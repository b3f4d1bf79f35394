"""Batches of latents: what the package's own packer makes of the sound, with the same losses, and nobody left out."""

import importlib.util
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from core.engines.voxcpm.batches import Utterance, pack, plan_epoch
from core.engines.voxcpm.latents import cached_latents, read_latents
from core.errors import BadInput

TEXTS = ("Hello world.", "The quick brown fox jumps over the lazy dog.", "你好")


@pytest.fixture
def clips(tmp_path: Path, write_wav: Callable[[Path, np.ndarray, int], Path]) -> list[Path]:
    generator = np.random.default_rng(0)
    return [
        write_wav(tmp_path / f"{number}.wav", 0.1 * generator.standard_normal(n), 16000)
        for number, n in enumerate((7000, 16000, 9999))
    ]


def package_packer(net: Any) -> Any:
    """The package's packer, without the rest of its training parts, which need packages of their own."""
    import voxcpm

    path = Path(voxcpm.__file__).parent / "training" / "packers.py"
    spec = importlib.util.spec_from_file_location("voxcpm_packers", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.AudioFeatureProcessingPacker(1, 512, net.model.patch_size, net.model.feat_dim, net.model.audio_vae)


@pytest.mark.parametrize("architecture", ["voxcpm", "voxcpm2"])
@pytest.mark.parametrize("with_reference", [False, True])
def test_cached_latents_give_the_packages_batch_and_losses(
    loaded: Callable[[str], Any], clips: list[Path], tmp_path: Path, architecture: str, with_reference: bool
) -> None:
    from core.audio.decode import load

    net = loaded(architecture).net
    tokens = [net.model.text_tokenizer(text) for text in TEXTS]
    latents = [read_latents(path) for path in cached_latents(net, clips, tmp_path / "latents")]
    other = latents[1] if with_reference else None
    mine = pack([Utterance(t, x, other) for t, x in zip(tokens, latents, strict=True)])

    sounds = [torch.from_numpy(load(clip, 16000)) for clip in clips]

    def filled(rows: list[torch.Tensor]) -> torch.Tensor:
        return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=-100)

    theirs = package_packer(net)(
        audio_tokens=filled(sounds),
        text_tokens=filled([torch.tensor(t, dtype=torch.int32) for t in tokens]),
        task_ids=torch.ones(3, dtype=torch.int32),
        dataset_ids=torch.zeros(3, dtype=torch.int32),
        is_prompts=[False] * 3,
        ref_audio_tokens=torch.stack([sounds[1]] * 3) if with_reference else None,
    )
    for name, values in mine.items():
        torch.testing.assert_close(values.float(), theirs[name].float(), atol=1e-6, rtol=0, msg=name)

    losses = []
    for batch in (mine, {name: theirs[name] for name in mine}):
        torch.manual_seed(7)
        with torch.no_grad():
            answer = net.model(**batch)
        losses.append([float(answer["loss/diff"]), float(answer["loss/stop"])])
    assert losses[0] == pytest.approx(losses[1], abs=1e-5)
    assert min(losses[0]) > 0


def test_latents_are_made_once_and_again_when_damaged(
    loaded: Callable[[str], Any], clips: list[Path], tmp_path: Path
) -> None:
    net = loaded("voxcpm2").net
    folder = tmp_path / "latents"
    first = cached_latents(net, clips, folder)
    marks = [path.stat().st_ino for path in first]
    os.truncate(first[1], 50)
    again = cached_latents(net, clips, folder)
    assert again == first
    assert [path.stat().st_ino == mark for path, mark in zip(again, marks, strict=True)] == [True, False, True]
    clips[0].write_bytes(clips[2].read_bytes())
    assert cached_latents(net, clips, folder)[0] == first[2]


@settings(max_examples=60)
@given(
    st.lists(st.integers(3, 200), min_size=1, max_size=60), st.integers(1, 8), st.sampled_from([0, 64, 300]),
    st.integers(0, 5),
)  # fmt: skip
def test_every_utterance_comes_once_within_the_budget(
    lengths: list[int], batch_size: int, max_tokens: int, seed: int
) -> None:
    def plan() -> list[list[int]]:
        generator = torch.Generator().manual_seed(seed)
        return plan_epoch(lengths, batch_size=batch_size, max_tokens=max_tokens, max_length=200, generator=generator)

    batches = plan()
    assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) <= batch_size
        if max_tokens and len(batch) > 1:
            assert max(lengths[index] for index in batch) * len(batch) <= max_tokens
    assert plan() == batches


def test_buckets_waste_little_and_too_long_clips_are_named() -> None:
    generator = torch.Generator().manual_seed(0)
    lengths = torch.randint(20, 200, (400,), generator=generator).tolist()
    batches = plan_epoch(lengths, batch_size=8, max_tokens=0, max_length=512, generator=generator)
    padded = sum(max(lengths[index] for index in batch) * len(batch) for batch in batches)
    assert padded < 1.1 * sum(lengths)
    with pytest.raises(BadInput, match=r"1 clips .* number 2, with 600"):
        plan_epoch([10, 600], batch_size=1, max_tokens=0, max_length=512, generator=generator)
