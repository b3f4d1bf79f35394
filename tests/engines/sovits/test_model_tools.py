"""Model tools: a file described before it is loaded, a mixture that is the sum it says."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from core.engines.sovits.checkpoint import load_generator, release, write_tensors, write_upstream
from core.engines.sovits.config import save_config
from core.engines.sovits.model import SovitsGenerator
from core.engines.sovits.model_tools import mix_shares, model_info, static_mix
from core.errors import BadInput, ModelFileError
from tests.engines.sovits.test_anatomy import config


def written(folder: Path, name: str, seed: int, **changes: object) -> Path:
    torch.manual_seed(seed)
    write_tensors(folder / name, SovitsGenerator(config(**changes)))
    return folder / name


def test_info_says_what_a_file_is_and_whether_its_config_fits(tmp_path: Path) -> None:
    file = tmp_path / "G_800.pth"
    write_upstream(file, SovitsGenerator(config(flow_share_parameter=True)), iteration=7, learning_rate=1e-4)
    info = model_info(file)
    assert (info["kind"], info["iteration"], info["released"]) == ("generator", 7, False)
    assert info["encoders"] == ["vec256l9", "hubertsoft"]
    assert info["architecture"]["n_speakers"] == 3
    assert info["types"] == ["float32"]
    assert "problem" not in info
    counted = sum(p.numel() for p in SovitsGenerator(config(flow_share_parameter=True)).parameters())
    assert info["parameters"] == counted  # the shared flow once
    save_config(config(n_speakers=9), tmp_path / "config.json")
    info = model_info(file)
    assert list(info["speakers"]) == ["ann", "bob", "cy"]
    assert info["problem"] is not None
    assert "number of speakers: 3 in the file, 9 in the config" in info["differences"]


def test_info_of_a_released_half_file_and_of_something_else(tmp_path: Path) -> None:
    release(written(tmp_path, "a.safetensors", 1), tmp_path / "small.safetensors", half=True)
    info = model_info(tmp_path / "small.safetensors")
    assert info["released"]
    assert info["types"] == ["float16"]
    torch.save({"unet.encoder.bn.weight": torch.zeros(1)}, tmp_path / "rmvpe.pt")
    assert model_info(tmp_path / "rmvpe.pt")["kind"] == "rmvpe"


def test_shares() -> None:
    assert mix_shares([50, 50], "convex") == [0.5, 0.5]
    assert sum(mix_shares([10, 90, -20], "convex")) == pytest.approx(1)
    assert mix_shares([30, 80], "linear") == pytest.approx([0.3, 0.8])


@pytest.mark.parametrize("mode", ["convex", "linear"])
def test_a_mixture_is_the_weighted_sum_and_loads(tmp_path: Path, mode: str) -> None:
    a, b = written(tmp_path, "a.safetensors", 1), written(tmp_path, "b.safetensors", 2)
    shares = mix_shares([20, 70], mode)  # type: ignore[arg-type]
    out = static_mix([(a, 20), (b, 70)], tmp_path / "mix.safetensors", mode)  # type: ignore[arg-type]
    mixed, first, second = (load_file(path) for path in (out, a, b))
    for name in first:
        torch.testing.assert_close(mixed[name], shares[0] * first[name] + shares[1] * second[name])
    load_generator(out, config(), for_inference=True)


def test_a_mixture_of_one_model_with_itself_is_that_model_to_the_filter(tmp_path: Path) -> None:
    a = written(tmp_path, "a.safetensors", 1, vocoder_name="nsf-snake-hifigan")
    copy = tmp_path / "copy.safetensors"
    copy.write_bytes(a.read_bytes())
    out = static_mix([(a, 100), (copy, 100)], tmp_path / "mix.safetensors")
    for name, tensor in load_file(out).items():
        torch.testing.assert_close(tensor, load_file(a)[name])


def test_what_cannot_be_mixed_is_said(tmp_path: Path) -> None:
    a, b = written(tmp_path, "a.safetensors", 1), written(tmp_path, "b.safetensors", 2, n_speakers=4)
    before = a.read_bytes()
    with pytest.raises(ModelFileError, match=r"emb_g\.weight"):
        static_mix([(a, 50), (b, 50)], tmp_path / "mix.safetensors")
    with pytest.raises(BadInput, match="at least two"):
        static_mix([(a, 50)], tmp_path / "mix.safetensors")
    with pytest.raises(BadInput, match="one of the files"):
        static_mix([(a, 50), (a, 50)], a)
    assert a.read_bytes() == before
    assert not (tmp_path / "mix.safetensors").exists()
