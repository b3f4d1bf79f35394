"""Fingerprints stay with a take and leave with another; the filters cover the band."""

import numpy as np

from core.audio.resample import resample
from core.quality.mel import N_BANDS, RATE_HZ, active_s, fingerprint, log_mel, timbre
from tests.quality.conftest import Say, in_room


def alike(a: np.ndarray, b: np.ndarray) -> float:
    x, y = (fingerprint(log_mel(z.astype(np.float32))).astype(float) for z in (a, b))
    return float(x @ y / (np.linalg.norm(x) * np.linalg.norm(y)))


def test_a_tone_sounds_in_its_band() -> None:
    t = np.arange(RATE_HZ) / RATE_HZ
    centres = [log_mel(np.sin(2 * np.pi * hz * t).astype(np.float32)).mean(axis=0).argmax() for hz in (200, 1000, 5000)]
    assert centres == sorted(centres)
    assert 0 < centres[0] < centres[2] < N_BANDS - 1


def test_the_same_take_has_the_same_print(say: Say) -> None:
    take = say(0)
    padded = np.concatenate([np.zeros(5000), 0.2 * take, np.zeros(12000)])
    assert alike(take, padded) > 0.97
    assert alike(take, resample(resample(take, 16000, 22050), 22050, 16000)) > 0.99
    assert alike(take, take + 0.003 * np.random.default_rng(0).standard_normal(take.size)) > 0.93


def test_other_takes_have_other_prints(say: Say) -> None:
    assert max(alike(say(0), say(index)) for index in range(1, 8)) < 0.7


def test_short_and_silent_sound_has_a_print_too() -> None:
    for n in (0, 1, 400, 5000):
        assert fingerprint(log_mel(np.zeros(n, np.float32))).shape == (240,)
        assert np.isfinite(timbre(log_mel(np.zeros(n, np.float32)))).all()
    assert not fingerprint(log_mel(np.zeros(16000, np.float32))).any()


def test_active_stretch_leaves_the_silence_out(say: Say) -> None:
    take = say(0)
    padded = np.concatenate([np.zeros(16000, np.float32), take, np.zeros(16000, np.float32)])
    assert abs(active_s(log_mel(padded)) - active_s(log_mel(take))) < 0.1
    assert timbre(log_mel(in_room(take, 0.5))).shape == (40,)
