"""For all tests of training."""

from collections.abc import Iterator

import pytest
import torch

from core.engines.sovits.dataset import Example
from tests.training.material import make_examples


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
