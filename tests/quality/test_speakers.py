"""Another person among the takes of one is found; one person's takes stay together."""

import numpy as np
import pytest

from core.audio.synthetic import MAN
from core.errors import BadInput
from core.quality.speakers import LEAST_CLIPS, embedder, outliers, pack, timbre_of, unpack
from tests.quality.conftest import Say


def test_a_man_among_women(say: Say) -> None:
    takes = [timbre_of(say(index)) for index in range(9)] + [timbre_of(say(9, MAN))]
    far = outliers(takes)
    assert all(z is not None for z in far)
    scores = [z or 0.0 for z in far]
    assert scores[-1] > 5.0
    assert max(scores[:-1]) < 5.0


def test_few_clips_tell_nothing(say: Say) -> None:
    assert outliers([timbre_of(say(0))] * (LEAST_CLIPS - 1)) == [None] * (LEAST_CLIPS - 1)


def test_equal_clips_are_no_outliers() -> None:
    assert outliers([np.ones(40, np.float32)] * 20) == [0.0] * 20


def test_vectors_survive_packing() -> None:
    vector = np.random.default_rng(0).standard_normal(40).astype(np.float32) * 30
    assert np.allclose(unpack(pack(vector)), vector, rtol=1e-3)
    with pytest.raises(ValueError):
        unpack("no base64!")


def test_embedders_go_by_name() -> None:
    assert embedder("timbre") is timbre_of
    with pytest.raises(BadInput, match="timbre"):
        embedder("ears")
