"""Loudness meets the standard's test signals and its target; the limiter never lets a true peak through."""

import math

import numpy as np
import pyloudnorm
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import resample as fft_resample

from core.audio.limiter import limit, peak_track, true_peak
from core.audio.loudness import LoudnessMeter, integrated_lufs, normalize, true_peak_dbtp
from tests.audio.media import speechlike, tone

RATE = 44100


def independent_peak(x: np.ndarray) -> float:
    """4x oversampling by another way: zero-padding in the frequency domain."""
    padded = np.concatenate([np.zeros(256), x, np.zeros(256)])
    return float(np.abs(fft_resample(padded, 4 * padded.size)).max())


def test_the_standards_sine() -> None:
    # BS.1770-4: a 997 Hz sine at 0 dBFS in one channel reads -3.01 LKFS.
    for rate in (16000, 44100, 48000):
        assert integrated_lufs(tone(5.0, rate, 997.0, 1.0), rate) == pytest.approx(-3.01, abs=0.1)


@pytest.mark.parametrize("rate", [16000, 22050, 44100, 48000])
def test_agrees_with_pyloudnorm_whole_and_in_blocks(rate: int) -> None:
    x = speechlike(7.3, rate, seed=2)
    reference = pyloudnorm.Meter(rate).integrated_loudness(x.astype(np.float64))
    assert integrated_lufs(x, rate) == pytest.approx(reference, abs=0.1)
    meter = LoudnessMeter(rate)
    for part in np.array_split(x, 37):
        meter.push(part)
    assert meter.lufs() == pytest.approx(integrated_lufs(x, rate), abs=1e-9)


def test_silence_and_short_sound_have_no_loudness() -> None:
    assert integrated_lufs(np.zeros(RATE, np.float32), RATE) == -math.inf
    assert integrated_lufs(tone(0.3), RATE) == -math.inf
    assert integrated_lufs(np.zeros(0, np.float32), RATE) == -math.inf
    assert true_peak_dbtp(np.zeros(100, np.float32), RATE) == -math.inf
    assert true_peak_dbtp(np.zeros(0, np.float32), RATE) == -math.inf
    assert not normalize(np.zeros(RATE, np.float32), RATE, -20).any()
    assert normalize(np.zeros(0, np.float32), RATE, -20).size == 0


def test_true_peak_sees_between_the_samples() -> None:
    # A sine at a quarter of the rate, sampled 45 degrees off its crests: samples at 0.707, wave at 1.
    x = np.sin(np.pi / 2 * np.arange(4000) + np.pi / 4).astype(np.float32)
    assert np.abs(x).max() == pytest.approx(0.7071, abs=1e-3)
    assert true_peak(x[:]) == pytest.approx(1.0, abs=0.05)
    assert true_peak_dbtp(x, RATE) > -0.4


@given(st.integers(0, 10_000), st.integers(1, 30_000), st.floats(0.01, 0.15))
@settings(max_examples=30)
def test_true_peak_agrees_with_another_way(seed: int, n: int, smooth: float) -> None:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(n)
    x = np.convolve(x, np.hanning(max(3, int(1 / smooth))), "same").astype(np.float32)
    fast, full = true_peak(x), float(peak_track(x).max())
    assert fast == pytest.approx(full, rel=1e-6)  # skipping blocks changes nothing
    assert fast == pytest.approx(independent_peak(x), rel=0.03, abs=1e-6)


@given(
    st.integers(0, 10_000),
    st.integers(1, 40_000),
    st.floats(-20, 30),
    st.floats(-12, 0),
    st.sampled_from([8000, 16000, 44100]),
)
@settings(max_examples=40)
def test_the_limiter_keeps_the_ceiling(seed: int, n: int, gain_db: float, ceiling: float, rate: int) -> None:
    rng = np.random.default_rng(seed)
    x = (rng.standard_normal(n) * rng.random(n) ** 8 * 10 ** (gain_db / 20)).astype(np.float32)
    y = limit(x, rate, ceiling)
    assert y.shape == x.shape
    assert np.isfinite(y).all()
    assert true_peak_dbtp(y, rate) <= ceiling + 1e-4
    assert (np.abs(y) <= np.abs(x) + 1e-7).all()
    assert (np.sign(y) * np.sign(x) >= 0).all()


def test_the_limiter_touches_only_the_surroundings_of_a_peak() -> None:
    x = tone(2.0, level=0.3)
    x[RATE : RATE + 50] *= 3.0
    y = limit(x, RATE, -1.0)
    assert true_peak_dbtp(y, RATE) <= -1.0 + 1e-4
    far = np.ones(x.size, bool)
    far[RATE - 1600 : RATE + 1600] = False
    assert np.allclose(y[far], x[far], rtol=2e-3)
    quiet = tone(0.5, level=0.2)
    assert np.array_equal(limit(quiet, RATE, -1.0), quiet)


@given(st.integers(0, 1000), st.floats(-35, 5), st.floats(-30, -16))
@settings(max_examples=20)
def test_normalize_reaches_its_target(seed: int, gain_db: float, target: float) -> None:
    rate = 16000
    x = (speechlike(3.0, rate, seed) * 10 ** (gain_db / 20)).astype(np.float32)
    y = normalize(x, rate, target, -1.0)
    assert true_peak_dbtp(y, rate) <= -1.0 + 1e-4
    assert abs(integrated_lufs(y, rate) - target) <= 0.5


def test_normalize_does_not_blow_up_noise_and_sets_short_sound_by_rms() -> None:
    faint = (np.random.default_rng(0).standard_normal(RATE) * 2e-4).astype(np.float32)
    assert integrated_lufs(normalize(faint, RATE, -20), RATE) < -25
    short = normalize(tone(0.2, level=0.05), RATE, -20.0)
    assert 20 * np.log10(np.sqrt(np.mean(short**2))) == pytest.approx(-20, abs=0.1)


@pytest.mark.parametrize("n", [1, 200])
def test_scraps_have_no_loudness(n: int) -> None:
    assert integrated_lufs(np.ones(n, np.float32), 16000) == -math.inf
