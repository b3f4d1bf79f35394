"""The training script's YAML, in and out."""

import contextlib
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from core.engines.voxcpm.config_yaml import FinetuneConfig, LoraSettings, parse_yaml, read_yaml, to_yaml, write_yaml
from core.errors import BadInput

GUIDE = """
pretrained_path: /models/VoxCPM-1.5/
train_manifest: /data/train.jsonl
val_manifest: null
sample_rate: 44100
batch_size: 16
grad_accum_steps: 1  # a remark
num_workers: 8
num_iters: 3000
log_interval: 10
valid_interval: 500
save_interval: 500
learning_rate: 1e-5
weight_decay: 0.01
warmup_steps: 100
max_steps: 3000
max_batch_tokens: 8192
save_path: /out
tensorboard: /out/logs
lambdas:
  loss/diff: 1.0
  loss/stop: 2
lora:
  enable_lm: true
  r: 32
"""


def test_a_config_of_theirs() -> None:
    config = parse_yaml(GUIDE)
    assert config.learning_rate == 1e-5
    assert (config.lambdas.diff, config.lambdas.stop) == (1.0, 2.0)
    assert (config.val_manifest, config.max_batch_tokens, config.max_grad_norm) == (None, 8192, 0.0)
    assert config.lora is not None
    assert (config.lora.r, config.lora.alpha, config.lora.enable_dit) == (32, 16, False)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("learning_rat: 0.1", "learning_rat is not known (perhaps learning_rate)"),
        ("lora: {enable_lm: true, rank: 4}", "lora.rank is not known"),
        ("lambdas: {loss/dif: 1}", "lambdas.loss/dif is not known (perhaps loss/diff)"),
        ("batch_size: many", "batch_size"),
        ("batch_size: 0", "batch_size"),
        ("learning_rate: .inf", "learning_rate"),
        ("lora: {r: 4}", "enable_lm"),
        ("batch_size: 1\nbatch_size: 2", "given twice"),
        ("save_path: !!python/object/apply:os.system ['x']", "not YAML in line 3"),
        ("a: [", "not YAML"),
        ("1: 2", "not a word"),
    ],
)
def test_mistakes_are_named(line: str, words: str) -> None:
    with pytest.raises(BadInput) as caught:
        parse_yaml(f"pretrained_path: a\n\n{line}\n")
    assert words in caught.value.message


@pytest.mark.parametrize("text", ["", "- a", "word", "[" * 500, "\x00", "a: &a [*a]", "? [a]\n: b"])
def test_other_texts(text: str) -> None:
    with pytest.raises(BadInput):
        parse_yaml(text)


def test_files(tmp_path: Path) -> None:
    config = parse_yaml(GUIDE)
    write_yaml(tmp_path / "一.yaml", config)
    again = read_yaml(tmp_path / "一.yaml")
    assert again == config.model_copy(update={"val_manifest": ""})
    with pytest.raises(BadInput, match="cannot be read"):
        read_yaml(tmp_path / "none.yaml")
    (tmp_path / "big.yaml").write_bytes(b"#" * 2**21)
    with pytest.raises(BadInput, match="too large"):
        read_yaml(tmp_path / "big.yaml")


def test_words_that_look_like_numbers_stay_words() -> None:
    config = FinetuneConfig(pretrained_path="1e5", train_manifest="0.5", save_path="null")
    assert parse_yaml(to_yaml(config)) == config


POSITIVE = st.floats(min_value=1e-12, max_value=1.0)
CONFIGS = st.builds(
    FinetuneConfig,
    pretrained_path=st.text(max_size=20),
    train_manifest=st.text(max_size=20),
    learning_rate=POSITIVE,
    weight_decay=POSITIVE,
    batch_size=st.integers(1, 64),
    lora=st.none() | st.builds(LoraSettings, enable_lm=st.just(True), r=st.integers(1, 64)),
)


@settings(max_examples=25)
@given(CONFIGS)
def test_out_and_in_again(config: FinetuneConfig) -> None:
    text = to_yaml(config)
    assert parse_yaml(text) == config
    theirs = yaml.safe_load(text)
    assert isinstance(theirs["learning_rate"], float)
    assert theirs["learning_rate"] == config.learning_rate
    assert isinstance(theirs["weight_decay"], float)


@settings(max_examples=50)
@given(st.text(max_size=200))
def test_any_text_is_a_config_or_an_error(text: str) -> None:
    with contextlib.suppress(BadInput):
        parse_yaml(text)
