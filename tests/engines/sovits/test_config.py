"""config.json: upstream's files are read, mistakes are named, presets have upstream's sizes."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.engines.sovits.config import load_config, parse_config, save_config
from core.engines.sovits.presets import PRESETS, preset
from core.errors import BadInput


def test_an_empty_model_section_means_upstreams_defaults() -> None:
    config = parse_config({"model": {}, "spk": {"a": 0}})
    assert config.model.inter_channels == 192
    assert config.model.speech_encoder == "vec768l12"
    assert config.model.vol_embedding is False
    assert config.model.hop_samples == 512
    assert config.data.unit_interpolate_mode == "left"
    assert config.train.learning_rate == 1e-4


def test_a_4_0_file_is_understood() -> None:
    config = parse_config({"model": {"ssl_dim": 256, "gin_channels": 256, "n_speakers": 2}, "spk": {"a": 0, "b": 1}})
    assert config.model.speech_encoder == "vec256l9"


def test_an_unknown_vocoder_is_the_default_one() -> None:
    assert parse_config({"model": {"vocoder_name": "what"}, "spk": {"a": 0}}).model.vocoder_name == "nsf-hifigan"
    assert parse_config({"model": {"vocoder_name": "lite"}, "spk": {"a": 0}}).model.vocoder_name == "lite"


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        ({"model": {"inter_chanels": 192}, "spk": {"a": 0}}, ["model.inter_chanels"]),
        ({"model": {"n_layers": 0, "n_heads": 0}, "spk": {"a": 0}}, ["model.n_layers", "model.n_heads"]),
        ({"model": {}, "spk": {}}, ["spk"]),
        ({"model": {"n_speakers": 1}, "spk": {"a": 1}}, ["'a'", "outside 0..0"]),
        ({"model": {}, "spk": {"a": 0}, "data": {"hop_length": 320}}, ["hop_length", "512"]),
        ({"model": {"upsample_rates": [8, 8]}, "spk": {"a": 0}}, ["upsample_rates"]),
        ({"spk": {"a": 0}}, ["model"]),
        ([], ["file"]),
        ({"model": {}, "spk": {"a": 0}, "trian": {}}, ["trian"]),
    ],
)
def test_mistakes_are_named(raw: object, words: list[str]) -> None:
    with pytest.raises(BadInput) as caught:
        parse_config(raw, where="my/config.json")
    for word in [*words, "my/config.json"]:
        assert word in caught.value.message
    assert caught.value.hint


def test_tolerated_leftovers_are_dropped() -> None:
    config = parse_config({"model": {"sampling_rate": 44100}, "spk": {"a": 0}})
    assert "sampling_rate" not in config.model.model_dump()


def test_files_that_are_no_config(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no config file"):
        load_config(tmp_path / "config.json")
    (tmp_path / "config.json").write_bytes(b"\xff\xfe{")
    with pytest.raises(BadInput, match="not JSON"):
        load_config(tmp_path / "config.json")


@given(
    name=st.sampled_from(PRESETS),
    dim=st.sampled_from([64, 256, 768, 1024, 1280]),
    speakers=st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=4, unique=True),
)
def test_every_preset_survives_its_file(
    tmp_path_factory: pytest.TempPathFactory, name: str, dim: int, speakers: list[str]
) -> None:
    config = preset(name, encoder="builtin", encoder_dim=dim, speakers=speakers)
    path = tmp_path_factory.mktemp("config") / "config.json"
    save_config(config, path)
    assert load_config(path) == config
    assert json.loads(path.read_text(encoding="utf-8"))["spk"] == {s: i for i, s in enumerate(speakers)}


@pytest.mark.parametrize(
    ("name", "dim", "file"),
    [
        ("standard", 768, "vec768l12_1speaker"),
        ("standard", 256, "vec256l9_4.0compat"),
        ("tiny", 768, "vec768l12_tiny"),
    ],
)
def test_presets_have_upstreams_sizes(shared_dir: Path, name: str, dim: int, file: str) -> None:
    path = shared_dir / "spec" / "keys" / "sovits" / f"generator_{file}.json"
    upstream = json.loads(path.read_text())["model_config"]
    encoder = "vec256l9" if dim == 256 else "vec768l12"
    ours = preset(name, encoder=encoder, encoder_dim=dim, speakers=["a"]).model.model_dump(mode="json")
    for field in upstream.keys() - {"n_speakers"}:
        assert ours[field] == upstream[field], field


def test_presets_refuse_nonsense() -> None:
    with pytest.raises(BadInput, match="huge"):
        preset("huge", encoder="builtin", encoder_dim=256, speakers=["a"])
    with pytest.raises(BadInput, match="speaker"):
        preset("lite", encoder="builtin", encoder_dim=256, speakers=[])
    with pytest.raises(BadInput, match="speaker"):
        preset("lite", encoder="builtin", encoder_dim=256, speakers=["a", "a"])
