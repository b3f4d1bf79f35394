"""Weights on disk: both formats, strictness, released files."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from core.engines.sovits.checkpoint import (
    load_discriminator,
    load_generator,
    read_upstream,
    release,
    write_tensors,
    write_upstream,
)
from core.engines.sovits.config import SovitsConfig, parse_config
from core.engines.sovits.model import SovitsGenerator, build_generator, prepare_for_inference
from core.errors import ModelFileError
from core.nn.noise import NoNoise

SIZES = {
    "inter_channels": 8,
    "hidden_channels": 8,
    "filter_channels": 12,
    "n_layers": 1,
    "upsample_initial_channel": 32,
    "gin_channels": 4,
    "ssl_dim": 6,
    "n_speakers": 2,
    "n_flow_layer": 1,
}


@pytest.fixture
def config() -> SovitsConfig:
    return parse_config({"model": {**SIZES, "flow_share_parameter": True}, "spk": {"a": 0}})


def speak(model: torch.nn.Module) -> torch.Tensor:
    torch.manual_seed(7)
    c, f0 = torch.randn(1, 6, 5), torch.full((1, 5), 200.0)
    audio, _ = model.infer(c, f0, torch.ones(1, 5), torch.tensor([1]), generator=NoNoise())  # type: ignore[operator]
    assert isinstance(audio, torch.Tensor)
    return audio


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_both_formats_come_back(tmp_path: Path, config: SovitsConfig, suffix: str) -> None:
    model = build_generator(config).eval()
    path = tmp_path / f"G_100{suffix}"
    if suffix == ".pth":
        write_upstream(path, model, iteration=3, learning_rate=1e-4)
        read = read_upstream(path)
        assert (read.iteration, read.learning_rate) == (3, 1e-4)
        assert read.optimizer["param_groups"]
    else:
        write_tensors(path, model, {"step": "100"})
    again = load_generator(path, config)
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name]), name
    torch.testing.assert_close(speak(load_generator(path, config, for_inference=True)), speak(model))


@pytest.mark.parametrize("half", [False, True])
def test_a_released_file_serves_inference_only(tmp_path: Path, config: SovitsConfig, half: bool) -> None:
    model = build_generator(config).eval()
    write_upstream(tmp_path / "G_1.pth", model, iteration=1, learning_rate=1e-4)
    release(tmp_path / "G_1.pth", tmp_path / "small.safetensors", half=half)
    tensors = load_file(tmp_path / "small.safetensors")
    assert not any(name.startswith("enc_q.") for name in tensors)
    loaded = load_generator(tmp_path / "small.safetensors", config, for_inference=True)
    torch.testing.assert_close(speak(loaded), speak(model), atol=1e-2 if half else 1e-5, rtol=0)
    with pytest.raises(ModelFileError, match="enc_q"):
        load_generator(tmp_path / "small.safetensors", config)


@pytest.mark.parametrize("change", ["missing", "extra", "shape"])
def test_what_does_not_fit_is_named(tmp_path: Path, config: SovitsConfig, change: str) -> None:
    tensors = {name: tensor.clone() for name, tensor in build_generator(config).state_dict().items()}
    name = "enc_p.proj.weight"
    if change == "missing":
        del tensors[name]
    elif change == "extra":
        name = "enc_p.surplus"
        tensors[name] = torch.zeros(1)
    else:
        tensors[name] = torch.zeros(3, 3)
    save_file(tensors, tmp_path / "G.safetensors")
    for for_inference in (False, True):
        with pytest.raises(ModelFileError, match=name):
            load_generator(tmp_path / "G.safetensors", config, for_inference=for_inference)


def test_a_generator_is_no_discriminator(tmp_path: Path, config: SovitsConfig) -> None:
    write_tensors(tmp_path / "G.safetensors", build_generator(config))
    with pytest.raises(ModelFileError):
        load_discriminator(tmp_path / "G.safetensors", torch.nn.Linear(2, 2))
    save_file({"weight": torch.zeros(2)}, tmp_path / "other.safetensors")
    with pytest.raises(ModelFileError, match="not a so-vits-svc generator"):
        release(tmp_path / "other.safetensors", tmp_path / "out.safetensors")
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(ModelFileError, match="no table"):
        read_upstream(tmp_path / "list.pth")


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, config: SovitsConfig) -> None:
    path = tmp_path / "G_1.pth"
    model = build_generator(config)
    write_upstream(path, model, iteration=1, learning_rate=1e-4)
    before = path.read_bytes()
    with pytest.raises(AttributeError):
        write_upstream(path, model, iteration=2, learning_rate=1e-4, optimizer={"unpicklable": lambda: None})
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["G_1.pth"]


def test_preparing_drops_what_only_training_needs(config: SovitsConfig) -> None:
    model = build_generator(config)
    assert isinstance(model, SovitsGenerator)
    before = speak(model.eval())
    assert prepare_for_inference(model) is model
    assert not any("weight_g" in name or name.startswith("enc_q") for name in model.state_dict())
    torch.testing.assert_close(speak(model), before, atol=1e-5, rtol=0)
    with pytest.raises(ValueError, match="cannot train"):
        model(*[torch.zeros(1)] * 6)
