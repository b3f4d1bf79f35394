"""Model folders: whole ones load with every tensor as it is; anything else is refused with a sentence."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from core.engines.voxcpm.loading import load_network
from core.errors import ModelFileError, StudioError
from core.models.safe_load import load_checkpoint
from tests.engines.voxcpm.conftest import ARCHITECTURES


@pytest.fixture
def copy(tiny: Callable[[str], Path], tmp_path: Path) -> Path:
    """A model folder to spoil."""
    return Path(shutil.copytree(tiny("voxcpm2"), tmp_path / "模型 copy"))


def refused(folder: Path, *words: str) -> StudioError:
    with pytest.raises(ModelFileError) as caught:
        load_network(folder)
    for word in words:
        assert word in caught.value.message
    assert caught.value.hint
    return caught.value


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_tensor_is_loaded_as_it_is(tiny: Callable[[str], Path], architecture: str) -> None:
    folder = tiny(architecture)
    net = load_network(folder)
    state = net.model.state_dict()
    for name, tensor in load_file(folder / "model.safetensors").items():
        assert torch.equal(state[name], tensor), name
    assert not any(tensor.is_meta for tensor in [*net.model.parameters(), *net.model.buffers()])
    assert net.model.base_lm.kv_cache is None
    assert not any(parameter.requires_grad for parameter in net.model.parameters())
    assert net.max_length == 512
    assert (net.sample_rate_hz, net.patch_samples) == ((48000, 7680) if net.is_v2 else (16000, 1280))


def test_half_precision_keeps_the_vae_whole(tiny: Callable[[str], Path], copy: Path) -> None:
    config = json.loads((copy / "config.json").read_text("utf-8"))
    (copy / "config.json").write_text(json.dumps(config | {"dtype": "bfloat16"}), "utf-8")
    net = load_network(copy)
    kinds = {name: parameter.dtype for name, parameter in net.model.named_parameters()}
    assert {kind for name, kind in kinds.items() if name.startswith("audio_vae.")} == {torch.float32}
    assert {kind for name, kind in kinds.items() if not name.startswith("audio_vae.")} == {torch.bfloat16}
    assert net.model.base_lm.rope_emb.cos_cached.dtype == torch.bfloat16
    assert net.fingerprint == load_network(tiny("voxcpm2")).fingerprint


CHANGES: dict[str, Callable[[dict[str, torch.Tensor]], object]] = {
    "missing": lambda tensors: tensors.pop("stop_head.weight"),
    "extra": lambda tensors: tensors.update(more=torch.zeros(1)),
    "wrong shape": lambda tensors: tensors.update({"stop_head.weight": torch.zeros(3, 64)}),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_tensors_that_do_not_fit(copy: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    tensors = load_file(copy / "model.safetensors")
    change(tensors)
    save_file(tensors, copy / "model.safetensors")
    message = refused(copy, "model.safetensors does not fit").message
    assert "stop_head.weight" in message or "more" in message


def test_vae_tensors_are_checked_too_and_the_boundaries_may_be_missing(copy: Path) -> None:
    vae = load_checkpoint(copy / "audiovae.pth")["state_dict"]
    del vae["decoder.sr_bin_boundaries"]
    torch.save(vae, copy / "audiovae.pth")
    assert load_network(copy).model.audio_vae.decoder.sr_bin_boundaries.tolist() == [20000, 30000, 40000]
    del vae["encoder.fc_mu.bias"]
    torch.save(vae, copy / "audiovae.pth")
    refused(copy, "audiovae.pth", "encoder.fc_mu.bias")


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "audiovae.pth", "tokenizer.json"])
def test_missing_and_damaged_files(copy: Path, name: str) -> None:
    data = (copy / name).read_bytes()
    (copy / name).write_bytes(data[: len(data) // 2])
    refused(copy)
    (copy / name).unlink()
    error = refused(copy)
    assert str(copy) in error.where


def test_other_folders(copy: Path, tmp_path: Path) -> None:
    refused(tmp_path / "nowhere", "does not exist")
    refused(tmp_path, "not a model")
    config = json.loads((copy / "config.json").read_text("utf-8"))

    def write(**values: object) -> None:
        (copy / "config.json").write_text(json.dumps(config | values), "utf-8")

    write(architecture="voxcpm3")
    refused(copy, "'voxcpm3'")
    write(patch_size="many")
    refused(copy, "patch_size")
    write(feat_dim=9)
    refused(copy, "latent_dim")
    write(dtype="int3")
    refused(copy, "int3")
    write(lm_config=config["lm_config"] | {"vocab_size": 112})
    refused(copy, "tokens")
    (copy / "config.json").write_text('{"model_type": "llama"}', "utf-8")
    refused(copy, "another kind of model")
    (copy / "config.json").write_text("[]", "utf-8")
    refused(copy, "another kind of model")
