"""Counts beside the real model: weights exactly, LoRAs exactly, what autograd holds nearly."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from core.engines.voxcpm.batches import Utterance, pack
from core.engines.voxcpm.config_yaml import LoraSettings
from core.engines.voxcpm.sizes import Sizes, Stack
from core.engines.voxcpm.trainable import Trainable, checkpoint_activations, load_for_training
from core.errors import ModelFileError
from tests.engines.voxcpm.conftest import ARCHITECTURES

ALL = LoraSettings(
    enable_lm=True, enable_dit=True, enable_proj=True, r=4, target_modules_lm=["q_proj", "v_proj", "down_proj"]
)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_weights_are_counted_exactly(tiny: Callable[[str], Path], architecture: str) -> None:
    folder = tiny(architecture)
    sizes = Sizes.read(folder)
    for lora in (None, ALL):
        torch.manual_seed(0)
        learning = Trainable(load_for_training(folder, "cpu", lora).model)
        assert sum(p.numel() for p in learning.parameters()) == sizes.trained(lora)
    assert sizes.trained(None) == sizes.parameters


def held_bytes(model: Any, batch: dict[str, torch.Tensor]) -> int:
    """Bytes of the distinct tensors that autograd keeps of a forward pass, the weights apart."""
    own = {t.untyped_storage().data_ptr() for t in (*model.parameters(), *model.buffers())}
    held: dict[int, int] = {}
    alive = []

    def note(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            held[storage.data_ptr()] = storage.nbytes()
            alive.append(tensor)  # or another tensor takes its place
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        model.train()
        kept = model(**batch)
    assert kept
    return sum(held.values())


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_what_is_held_for_the_backward_pass(tiny: Callable[[str], Path], architecture: str) -> None:
    folder = tiny(architecture)
    net = load_for_training(folder, "cpu", None)
    latents = torch.randn(40, net.model.patch_size, net.model.feat_dim)
    batch = pack([Utterance(list(range(110, 130)), latents)] * 2)
    positions = batch["labels"].numel()
    sizes = Sizes.read(folder)
    plain = held_bytes(net.model, batch)
    assert sizes.activation_bytes(positions, autocast=False, checkpointed=False) == pytest.approx(plain, rel=0.2)
    checkpoint_activations(net.model)
    assert held_bytes(net.model, batch) < 0.5 * plain


def test_the_real_sizes_fit() -> None:
    """Models of about the sizes of VoxCPM 1.5 and 2: full tuning of 1.5 in 24 GB, LoRA in 8 GB."""
    lm = Stack(1024, 4096, 16, 2, 128, 24)
    local = Stack(1024, 4096, 16, 2, 128, 8)
    v15 = Sizes(
        lm=lm, residual=replace(lm, layers=8), encoder=replace(local, positions=5), dit=replace(local, positions=9),
        vocabulary=73448, feat_dim=64, quantised=256, is_v2=False, patch_size=4, max_length=4096, file_bytes=2,
        vae_bytes=0.4e9,
    )  # fmt: skip
    assert 0.7e9 < v15.parameters < 0.95e9
    positions = 2 * v15.positions(15.0, "word " * 40)
    full = v15.memory_bytes(positions, None, cuda=True, checkpointed=True, eight_bit=True)
    assert full < 16e9
    lora = LoraSettings(enable_lm=True, enable_dit=True, r=8)
    assert v15.memory_bytes(positions, lora, cuda=True, checkpointed=True, eight_bit=False) < 6e9
    wide = Stack(2048, 6144, 16, 2, 128, 28)
    deep = Stack(1024, 4096, 16, 2, 128, 12)
    v2 = replace(
        v15, lm=wide, residual=replace(wide, layers=8), encoder=replace(deep, positions=5),
        dit=replace(deep, positions=11), quantised=512, is_v2=True, max_length=8192,
    )  # fmt: skip
    assert 2.2e9 < v2.parameters < 2.4e9
    lora = LoraSettings(enable_lm=True, enable_dit=True, r=32)
    one = v2.positions(15.0, "word " * 40)
    assert v2.memory_bytes(one, lora, cuda=True, checkpointed=True, eight_bit=False) < 8e9
    assert v2.memory_bytes(one, None, cuda=True, checkpointed=True, eight_bit=True) > 24e9


def test_a_config_that_is_none(tmp_path: Path) -> None:
    for text in ("{}", "[]", "", '{"lm_config": 3}'):
        (tmp_path / "config.json").write_text(text, "utf-8")
        with pytest.raises(ModelFileError, match="cannot be understood"):
            Sizes.read(tmp_path)
