"""For all tests of training."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from core.dataset.voices import Voice
from core.engines.sovits import train
from core.engines.sovits.dataset import Example
from core.settings import Settings, load_settings
from tests.training.material import make_examples, make_voice, register_encoder, small_config


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Models this small lose time with two threads, and on a busy machine lose minutes."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def three_clips(tmp_path_factory: pytest.TempPathFactory) -> list[Example]:
    """Clips with features; the first is for probes."""
    return make_examples(tmp_path_factory.mktemp("three clips"), n_clips=3, seconds=0.6)


@pytest.fixture
def settings(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A workspace in which the whole training job runs on the smallest networks."""
    register_encoder(monkeypatch)
    monkeypatch.setattr(train, "preset", lambda name, **_: small_config(name))
    monkeypatch.setattr(train, "verify_in_fresh_process", lambda folder, example: {})
    return load_settings({"workspace": workspace, "device": "cpu", "threads": 1}, env={})


@pytest.fixture
def voice(settings: Settings) -> Voice:
    """A voice with accepted clips."""
    return make_voice(settings)
