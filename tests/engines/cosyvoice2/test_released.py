"""The released YAML as data, and sizes that come from it."""

import contextlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.engines.cosyvoice2.config import DitFlowConfig, UnetFlowConfig
from core.engines.cosyvoice2.released import Tagged, parse_tagged, read_released
from core.errors import ModelFileError
from tests.engines.cosyvoice2 import tiny_folder

_REAL = """
sample_rate: 24000
token_mel_ratio: 2
chunk_size: 25
llm: !new:cosyvoice.llm.llm.Qwen2LM
  speech_token_size: 6561
  mix_ratio: [5, 15]
  sampling: !name:cosyvoice.utils.common.ras_sampling
    top_p: 0.8
flow: !new:cosyvoice.flow.flow.CausalMaskedDiffWithXvec
  input_size: 512
  decoder: !new:cosyvoice.flow.flow_matching.CausalConditionalCFM
    estimator: !new:cosyvoice.flow.decoder.CausalConditionalDecoder
      channels: [256]
  encoder: !new:cosyvoice.transformer.upsample_encoder.UpsampleConformerEncoder
    num_blocks: 6
hift: !new:cosyvoice.hifigan.generator.HiFTGenerator
  base_channels: 512
  f0_predictor: !new:cosyvoice.hifigan.f0_predictor.ConvRNNF0Predictor
    cond_channels: 512
"""


def test_tags_are_names_and_references_are_values() -> None:
    data = parse_tagged("a: 3\nb: 4\nc: !new:os.system [rm]\nd: !ref <a> * <b>\ne: !ref <b> / 8\nf: !ref <c>", "x")
    assert data["c"] == data["f"] == Tagged("new:os.system", ["rm"])
    assert data["d"] == 12
    assert data["e"] == 0.5


@pytest.mark.parametrize(
    "text",
    [
        "a: [", "- 1", "a: !ref <b>", "a: !ref <a>", "a: !ref __import__('os')", "a: x\nb: !ref <a> * 2",
        "!!python/name:os.system ''",
    ],
)  # fmt: skip
def test_what_is_odd_is_an_error_that_names_the_file(text: str) -> None:
    with pytest.raises(ModelFileError, match=r"model\.yaml"):
        parse_tagged(text, "model.yaml")


@settings(max_examples=40)
@given(st.text(alphabet="abc:!<>[]{}-*&ref \n'\"", max_size=40))
def test_no_text_does_anything_but_parse_or_fail(text: str) -> None:
    with contextlib.suppress(ModelFileError):
        assert isinstance(parse_tagged(text, "model.yaml"), dict)


def test_the_released_sizes_are_the_defaults(tmp_path: Path) -> None:
    (tmp_path / "cosyvoice2.yaml").write_text(_REAL, encoding="utf-8")
    config = read_released(tmp_path)
    assert (config.version, config.sample_rate_hz) == (2, 24000)
    assert config.flow == UnetFlowConfig()
    assert config.language_model.speech_tokens == 6561
    assert not config.hift.causal


def test_both_versions_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "cosyvoice3.yaml").write_text(
        tiny_folder._YAML_2[: tiny_folder._YAML_2.index("flow:")]
        + tiny_folder._FLOW_3
        + tiny_folder._YAML_2[tiny_folder._YAML_2.index("hift:") :]
    )
    config = read_released(tmp_path)
    assert config.version == 3
    assert isinstance(config.flow, DitFlowConfig)
    assert config.hift.causal
    assert not config.language_model.own_embedding


def test_settings_that_lack_something(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="holds none of"):
        read_released(tmp_path)
    for broken in (
        _REAL.replace("  decoder:", "  odd:"),
        _REAL.replace("24000", "fast"),
        _REAL.replace("[256]", "[1, 2]"),
    ):
        (tmp_path / "cosyvoice2.yaml").write_text(broken, encoding="utf-8")
        with pytest.raises(ModelFileError, match="lacks a setting or has an odd one"):
            read_released(tmp_path)
