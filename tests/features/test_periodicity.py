"""The voicing gate of WORLD's trackers."""

import numpy as np
import pytest

from core.features.pitch.periodicity import periodicity
from tests.features.tones import glide, noise, voice

AT_S = np.array([0.1, 0.2, 0.3])


@pytest.mark.parametrize("kind", ["low", "vibrato", "high"])
def test_a_tone_repeats_at_its_own_pitch_and_not_at_another(kind: str) -> None:
    truth = glide(kind, 0.4, 16000)
    wav = voice(truth, 16000, top_hz=3000)
    f0 = truth[(AT_S * 16000).astype(int)].astype(np.float32)
    assert periodicity(wav, f0, AT_S).min() > 0.9
    assert periodicity(wav, f0 * np.float32(1.37), AT_S).max() < 0.7


def test_noise_repeats_at_no_pitch() -> None:
    wav = noise("white", 0.4, 16000)
    for f0_hz in (60.0, 150.0, 400.0, 1000.0):
        assert periodicity(wav, np.full(3, f0_hz, np.float32), AT_S).max() < 0.5


def test_nothing_to_judge_scores_zero() -> None:
    assert not periodicity(np.zeros(6400, np.float32), np.full(3, 100.0, np.float32), AT_S).any()
    assert not periodicity(voice(glide("low", 0.4, 16000), 16000), np.zeros(3, np.float32), AT_S).any()


@pytest.mark.parametrize("n_samples", [1, 30, 300])
def test_audio_shorter_than_two_periods(n_samples: int) -> None:
    scores = periodicity(np.ones(n_samples, np.float32), np.full(2, 60.0, np.float32), np.array([0.0, 0.01]))
    assert np.isfinite(scores).all()
