"""The matrix form gives what the package's model gives, window by window, and starts each window afresh."""

import numpy as np
import pytest

from core.audio.vad import SpeechDetector
from core.cutting import speech
from core.cutting.speech import RATE_HZ, probabilities
from tests.cutting.conftest import Talk


def by_package(window: np.ndarray) -> np.ndarray:
    detector = SpeechDetector()
    detector.push(window)
    return detector.finish()


@pytest.fixture(scope="module")
def sound(talk: Talk) -> np.ndarray:
    from core.audio.decode import load

    return load(talk.audio, RATE_HZ)


def test_every_window_gets_the_packages_answer(sound: np.ndarray) -> None:
    rng = np.random.default_rng(0)
    lengths = [1, 511, 512, 513, 40_000, *rng.integers(2_000, 90_000, 12).tolist()]
    windows = [sound[(at := int(rng.integers(0, sound.size - n))) : at + n] for n in lengths]
    for found, window in zip(probabilities(windows), windows, strict=True):
        expected = by_package(window)
        assert found.shape == expected.shape
        assert np.allclose(found, expected, atol=1e-4)
    assert max(float(p.max()) for p in probabilities(windows)) > 0.9


def test_empty_windows_and_none() -> None:
    assert probabilities([]) == []
    empty, some = probabilities([np.zeros(0, np.float32), np.zeros(600, np.float32)])
    assert empty.size == 0
    assert some.size == 2


def test_loud_sound_overflows_nothing() -> None:
    with np.errstate(all="raise", under="ignore"):
        (found,) = probabilities([np.random.default_rng(0).standard_normal(8000).astype(np.float32) * 100])
    assert np.isfinite(found).all()


def test_a_model_of_another_kind_is_run_by_the_package(sound: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speech, "_TAPS", (slice(0, 3),) * 9)  # more layers than there are
    speech._network.cache_clear()
    try:
        window = sound[:20_000]
        assert np.array_equal(probabilities([window])[0], by_package(window))
    finally:
        speech._network.cache_clear()
