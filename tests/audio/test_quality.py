"""Quality figures tell clean from noisy, clipped, narrow and silent; the waveform shows every peak."""

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from core.audio.decode import load
from core.audio.encode import write_audio
from core.audio.quality import MAX_SNR_DB, measure
from core.audio.resample import resample
from core.audio.waveform import peaks
from core.errors import BadInput
from tests.audio.media import speechlike, tone, write_media

RATE = 44100


@pytest.mark.parametrize("wanted", [5.0, 10.0, 20.0, 30.0, 40.0])
def test_snr_is_what_was_mixed(wanted: float) -> None:
    voice = speechlike(8.0, RATE, noise=0.0)
    active = np.abs(voice) > 1e-3
    power = float(np.mean(voice[active] ** 2))
    noise = np.random.default_rng(1).standard_normal(voice.size) * math.sqrt(power / 10 ** (wanted / 10))
    assert measure((voice + noise).astype(np.float32), RATE).snr_db == pytest.approx(wanted, abs=3.0)


def test_clean_synthetic_speech_has_no_noise(speech: Path) -> None:
    x = load(speech, RATE)
    quality = measure(x, RATE)
    assert quality.snr_db > 25
    assert quality.clipped_fraction == 0
    assert measure(np.concatenate([x, np.zeros(x.size // 4, np.float32)]), RATE).snr_db == MAX_SNR_DB


def test_a_clip_without_a_pause_borrows_the_recordings_floor() -> None:
    x = speechlike(6.0, RATE, noise=1e-4)
    middle = tone(2.0, level=0.3) + 1e-4 * np.random.default_rng(0).standard_normal(2 * RATE).astype(np.float32)
    assert measure(middle, RATE).snr_db < 5
    assert measure(middle, RATE, noise_db=-80.0).snr_db > 60
    assert measure(x, RATE, noise_db=-20.0).snr_db == measure(x, RATE).snr_db  # a worse floor is not believed


def test_clipping_at_and_below_full_scale_and_after_resampling() -> None:
    x = speechlike(4.0, RATE)
    assert measure(x, RATE).clipped_fraction == 0
    loud = np.clip(4 * x, -1, 1)
    assert measure(loud, RATE).clipped_fraction > 0.01
    assert measure(0.4 * loud, RATE).clipped_fraction > 0.01
    assert measure(resample(loud, RATE, 48000), 48000).clipped_fraction > 0.005
    assert measure(tone(1.0, hz=100.0, level=0.5), RATE).clipped_fraction == 0


@pytest.mark.parametrize("source", [8000, 16000])
def test_bandwidth_shows_where_the_sound_came_from(source: int) -> None:
    noise = np.random.default_rng(0).standard_normal(2 * source).astype(np.float32) * 0.1
    assert measure(resample(noise, source, RATE), RATE).bandwidth_hz == pytest.approx(source / 2, rel=0.06)
    wide = np.random.default_rng(0).standard_normal(2 * RATE).astype(np.float32) * 0.1
    assert measure(wide, RATE).bandwidth_hz > 20_000


def test_silent_empty_tiny_and_offset() -> None:
    silent = measure(np.zeros(RATE, np.float32), RATE)
    assert silent.peak_db == -math.inf
    assert silent.snr_db == 0
    assert silent.silence_fraction == 1
    assert measure(np.zeros(0, np.float32), RATE).duration_s == 0
    assert measure(np.full(10, 0.1, np.float32), RATE).dc == pytest.approx(0.1)
    assert measure(tone(1.0) + 0.05, RATE).dc == pytest.approx(0.05, abs=1e-3)


@given(
    hnp.arrays(np.float32, st.integers(0, 4000), elements=st.floats(-1.5, 1.5, width=32)),
    st.sampled_from([8000, 44100]),
)
@settings(max_examples=40)
def test_figures_stay_in_their_ranges(x: np.ndarray, rate: int) -> None:
    quality = measure(x, rate)
    assert quality.duration_s == x.size / rate
    assert 0 <= quality.snr_db <= MAX_SNR_DB
    assert 0 <= quality.clipped_fraction <= 1
    assert 0 <= quality.silence_fraction <= 1
    assert 0 <= quality.bandwidth_hz <= rate / 2
    assert not math.isnan(quality.lufs)


@given(hnp.arrays(np.float32, st.integers(0, 500), elements=st.floats(-1, 1, width=32)), st.integers(1, 600))
@settings(max_examples=50)
def test_a_waveform_holds_every_peak(x: np.ndarray, n: int) -> None:
    drawn = peaks(x, n)
    assert drawn.shape == (n, 2)
    assert (drawn[:, 0] <= drawn[:, 1]).all()
    if x.size >= n:
        assert drawn.min() == (x.min() if x.size else 0)
        assert drawn.max() == (x.max() if x.size else 0)


def test_a_waveform_of_a_file(tmp_path: Path) -> None:
    x = np.concatenate([tone(1.0, level=0.1), tone(1.0, level=0.6), tone(0.5, level=0.2)])
    path = write_audio(tmp_path / "a.flac", x, RATE)
    drawn = peaks(path, 5)
    assert np.allclose(drawn[:, 1], [0.1, 0.1, 0.6, 0.6, 0.2], atol=2e-3)
    assert np.allclose(drawn[:, 0], -drawn[:, 1], atol=2e-3)
    assert peaks(write_media(tmp_path / "b.webm", tone(1.0, 48000), 48000), 1000).shape == (1000, 2)
    with pytest.raises(BadInput):
        peaks(path, 0)
    with pytest.raises(BadInput):
        peaks(tmp_path / "gone.wav", 10)
