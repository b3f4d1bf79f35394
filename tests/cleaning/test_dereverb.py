"""A room is heard less after the step, and dry speech hardly changes."""

import numpy as np
import pytest

from core.cleaning.dereverb import dereverb
from core.quality.reverb import rt60_s
from tests.cleaning.kit import RATE, sdr_db
from tests.quality.conftest import in_room


def test_the_room_gets_shorter(voice: np.ndarray) -> None:
    wet = in_room(voice, 0.7)
    dried = dereverb(wet, RATE)
    before, after = rt60_s(wet), rt60_s(dried)
    assert before is not None
    assert after is not None
    assert after < 0.85 * before
    assert sdr_db(dried, voice) > sdr_db(wet, voice) + 0.5


def test_dry_speech_stays_itself(voice: np.ndarray) -> None:
    assert sdr_db(dereverb(voice, RATE), voice) > 8.0


@pytest.mark.parametrize("n", [0, 100, 3 * RATE])
def test_silence_and_scraps_come_back(n: int) -> None:
    assert np.array_equal(dereverb(np.zeros(n, np.float32), RATE), np.zeros(n))
    tone = np.sin(np.arange(n) * 0.3).astype(np.float32)
    assert np.isfinite(dereverb(tone, RATE)).all()
