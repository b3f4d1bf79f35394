"""Files described from shapes alone: every published architecture, every way in which a config can be wrong."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from core.engines.sovits.anatomy import Shapes, differences, explain, fit_config, generator_fields, kind_of
from core.engines.sovits.checkpoint import fitted_config, load_generator, write_tensors, write_upstream
from core.engines.sovits.config import SovitsConfig, parse_config
from core.engines.sovits.model import SovitsGenerator
from core.errors import ModelFileError

SMALL: dict[str, Any] = {
    "inter_channels": 8,
    "hidden_channels": 8,
    "filter_channels": 12,
    "n_layers": 1,
    "resblock_kernel_sizes": [3],
    "resblock_dilation_sizes": [[1, 3, 5]],
    "upsample_initial_channel": 32,
    "gin_channels": 4,
    "ssl_dim": 256,
    "n_speakers": 3,
}


def config(**changes: Any) -> SovitsConfig:
    return parse_config({"model": {**SMALL, **changes}, "spk": {"ann": 0, "bob": 1, "cy": 2}})


def shapes_of(module: torch.nn.Module) -> Shapes:
    return {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}


def published(shared_dir: Path) -> Iterator[tuple[str, dict[str, Any], Shapes]]:
    for file in sorted((shared_dir / "spec" / "keys" / "sovits").glob("*.json")):
        described = json.loads(file.read_text())
        yield file.stem, described, {name: tuple(item["shape"]) for name, item in described["keys"].items()}


def test_every_published_architecture_is_read_from_its_shapes(shared_dir: Path) -> None:
    seen = 0
    for stem, described, shapes in published(shared_dir):
        kind = kind_of(shapes)
        expected = stem.split("_")[0] if not stem.startswith("fcpe") else "other"
        assert kind == expected, stem
        if kind == "generator":
            seen += 1
            assert differences(shapes, parse_config({"model": described["model_config"], "spk": {"a": 0}})) == [], stem
    assert seen == 12


@pytest.mark.parametrize(
    "changes",
    [
        {"ssl_dim": 20},
        {"n_speakers": 5},
        {"gin_channels": 6},
        {"vol_embedding": True},
        {"use_automatic_f0_prediction": False},
        {"use_transformer_flow": True, "n_layers_trans_flow": 2, "n_flow_layer": 3},
        {"flow_share_parameter": True},
        {"use_depthwise_conv": True},
        {"vocoder_name": "nsf-snake-hifigan"},
        {"resblock": "2"},
        {"upsample_initial_channel": 64},
        {"n_layers": 2, "filter_channels": 16},
        {"upsample_rates": [8, 4, 4, 2, 2], "upsample_kernel_sizes": [16, 8, 8, 4, 4]},
        {"resblock_kernel_sizes": [3, 5], "resblock_dilation_sizes": [[1, 3, 5]] * 2},
    ],
)
def test_a_config_can_be_fitted_to_any_file(changes: dict[str, Any]) -> None:
    """The file is made with `changes`, the config without: it is told apart, and the fitted config is the file's."""
    theirs = config(**changes)
    shapes = shapes_of(SovitsGenerator(theirs))
    ours = config()
    found = {difference.name for difference in differences(shapes, ours)}
    assert set(changes) - {"resblock_dilation_sizes"} <= found
    said = explain(shapes, ours)
    assert said is not None
    assert all(said)
    fitted = fit_config(ours, shapes)
    assert shapes_of(SovitsGenerator(fitted)) == shapes
    assert explain(shapes, fitted) is None


def test_folded_weights_are_recognised_too() -> None:
    from core.nn.weight_norm import fold_weight_norm

    model = SovitsGenerator(config())
    fold_weight_norm(model)
    assert generator_fields(shapes_of(model))["upsample_initial_channel"] == 32


def test_a_4_0_file_under_a_4_1_config_is_called_by_its_name(tmp_path: Path) -> None:
    file = tmp_path / "G_100.pth"
    write_upstream(file, SovitsGenerator(config(ssl_dim=256)), iteration=1, learning_rate=1e-4)
    with pytest.raises(ModelFileError) as err:
        load_generator(file, config(ssl_dim=768, speech_encoder="vec768l12"), for_inference=True)
    assert "256 wide" in err.value.message
    assert "4.0" in err.value.message
    assert "vec256l9" in err.value.hint
    fitted = fitted_config(file, config(ssl_dim=768, speech_encoder="vec768l12"))
    assert fitted.model.speech_encoder == "vec256l9"
    load_generator(file, fitted, for_inference=True)


def test_another_number_of_speakers_is_said_and_fixed(tmp_path: Path) -> None:
    file = tmp_path / "G.safetensors"
    write_tensors(file, SovitsGenerator(config(n_speakers=3)))
    with pytest.raises(ModelFileError, match="knows 3 speakers, the config 200"):
        load_generator(file, config(n_speakers=200))
    fitted = fitted_config(file, config(n_speakers=200))
    assert fitted.model.n_speakers == 3
    assert list(fitted.spk) == ["ann", "bob", "cy"]
    load_generator(file, fitted)


def test_fewer_rows_than_names_drop_the_names() -> None:
    shapes = shapes_of(SovitsGenerator(config(n_speakers=3)))
    many = parse_config({"model": {**SMALL, "n_speakers": 9}, "spk": {"last": 8, "first": 0}})
    assert fit_config(many, shapes).spk == {"first": 0}


@pytest.mark.parametrize(
    ("stem", "words"),
    [
        ("discriminator_mpd", "discriminator"),
        ("diffusion_unit2mel_default_1spk", "diffusion"),
        ("vocoder_openvpi_nsf_hifigan", "vocoder"),
        ("rmvpe_e2e0", "RMVPE"),
        ("fcpe_ctor_defaults", "no so-vits-svc model"),
    ],
)
def test_other_files_are_called_what_they_are(shared_dir: Path, stem: str, words: str) -> None:
    shapes = next(shapes for name, _, shapes in published(shared_dir) if name == stem)
    said = explain(shapes, config())
    assert said is not None
    assert words in said[0]


def test_a_mutilated_generator_lists_what_is_missing(tmp_path: Path) -> None:
    state = SovitsGenerator(config()).state_dict()
    torch.save({"model": {k: v for k, v in state.items() if not k.startswith("pre.")}}, tmp_path / "G.pth")
    with pytest.raises(ModelFileError, match=r"pre\.weight"):
        load_generator(tmp_path / "G.pth", config())
    with pytest.raises(ModelFileError, match=r"pre\.weight"):
        fitted_config(tmp_path / "G.pth", config())


def test_weights_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    state = {name: tensor.clone() for name, tensor in SovitsGenerator(config()).state_dict().items()}
    state["dec.conv_pre.bias"][0] = float("nan")
    torch.save({"model": state}, tmp_path / "G.pth")
    with pytest.raises(ModelFileError, match=r"not numbers.*dec\.conv_pre\.bias"):
        load_generator(tmp_path / "G.pth", config())


def test_a_lite_config_beside_a_upstream_file_is_told(tmp_path: Path) -> None:
    write_tensors(tmp_path / "G.safetensors", SovitsGenerator(config()))
    with pytest.raises(ModelFileError, match="lite"):
        load_generator(tmp_path / "G.safetensors", config(vocoder_name="lite"))
