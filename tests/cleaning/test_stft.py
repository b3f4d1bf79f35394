"""Spectra give back their samples."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.cleaning.stft import istft, stft


@given(st.integers(0, 5000), st.sampled_from([64, 256, 1024]))
def test_there_and_back(n: int, size: int) -> None:
    x = np.random.default_rng(n).standard_normal(n).astype(np.float32)
    assert np.allclose(istft(stft(x, size), size, n), x, atol=1e-5)


def test_a_tone_stands_in_its_bin() -> None:
    x = np.sin(2 * np.pi * 1000 * np.arange(8000) / 16000).astype(np.float32)
    power = np.abs(stft(x, 512)).mean(axis=0)
    assert power.argmax() == pytest.approx(1000 * 512 / 16000)
