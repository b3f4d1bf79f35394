"""The gate takes noise, not voice."""

from pathlib import Path

import numpy as np

from core.cleaning.gate import gate
from tests.cleaning.kit import RATE, noisy, sdr_db, source_of, through


def test_noise_goes_and_the_voice_stays(voice: np.ndarray) -> None:
    spoiled = noisy(voice, 10.0)
    cleaned = gate(spoiled, RATE, 18.0)
    assert sdr_db(cleaned, voice) > sdr_db(spoiled, voice) + 3.5  # espeak-ng is never twice the same
    assert sdr_db(gate(voice, RATE, 18.0), voice) > 25.0


def test_noise_alone_falls_by_about_what_was_asked() -> None:
    hiss = (0.05 * np.random.default_rng(1).standard_normal(4 * RATE)).astype(np.float32)
    fall_db = 20 * np.log10(np.std(hiss) / np.std(gate(hiss, RATE, 18.0)))
    assert 14.0 < fall_db <= 18.5


def test_silence_and_scraps_pass() -> None:
    for n in (0, 1, 700):
        assert gate(np.zeros(n, np.float32), RATE, 18.0).tolist() == [0.0] * n


def test_the_step_keeps_the_length(tmp_path: Path, voice: np.ndarray) -> None:
    assert through("gate", source_of(tmp_path, voice)).size == voice.size


def test_a_constant_comes_through_as_numbers() -> None:
    constant = np.full(5 * RATE, 0.5, np.float32)
    with np.errstate(all="raise"):
        assert np.isfinite(gate(constant, RATE, 18.0)).all()
