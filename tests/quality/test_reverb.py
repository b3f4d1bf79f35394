"""Rooms of known length are told from speech alone."""

import numpy as np
import pytest

from core.quality.reverb import rt60_s
from tests.quality.conftest import Say, in_room


@pytest.mark.parametrize("room_s", [0.35, 0.5, 0.8])
def test_the_room_is_heard(say: Say, room_s: float) -> None:
    speech = np.concatenate([say(index) for index in range(2)])
    assert rt60_s(in_room(speech, room_s)) == pytest.approx(room_s, rel=0.3)


def test_a_hall_that_leaves_no_decay_whole_is_heard_too(say: Say) -> None:
    speech = np.concatenate([say(index) for index in range(2)])
    wet = in_room(speech, 1.2) + 1e-3 * np.random.default_rng(0).standard_normal(speech.size).astype(np.float32)
    assert (rt60_s(wet) or 0.0) > 0.5


def test_dry_speech_reads_as_dry(say: Say) -> None:
    assert (rt60_s(say(0)) or 9.0) < 0.36


def test_what_shows_no_decays_is_not_measured() -> None:
    assert rt60_s(np.zeros(16000, np.float32)) is None
    assert rt60_s(np.zeros(0, np.float32)) is None
    tone = np.sin(2 * np.pi * 440 * np.arange(16000) / 16000).astype(np.float32)
    assert rt60_s(tone) is None
