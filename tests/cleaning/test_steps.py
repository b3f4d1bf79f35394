"""High-pass, trim and loudness do what their names say."""

from pathlib import Path

import numpy as np
import pytest

from core.audio.loudness import integrated_lufs, true_peak_dbtp
from tests.cleaning.kit import RATE, source_of, through


def level_db(x: np.ndarray, hz: float) -> float:
    t = np.arange(x.size) / RATE
    return float(20 * np.log10(2 * np.abs(np.mean(x * np.exp(-2j * np.pi * hz * t))) + 1e-9))


def test_highpass_takes_rumble_only(tmp_path: Path) -> None:
    t = np.arange(25 * RATE) / RATE  # longer than two blocks: the filter's state must go on
    x = (0.3 * np.sin(2 * np.pi * 30 * t) + 0.3 * np.sin(2 * np.pi * 200 * t)).astype(np.float32)
    y = through("highpass", source_of(tmp_path, x), highpass_hz=80.0)
    assert y.size == x.size
    assert level_db(y, 30) < level_db(x, 30) - 30
    assert level_db(y, 200) == pytest.approx(level_db(x, 200), abs=0.2)
    seams = np.abs(np.diff(y[RATE:]))
    assert seams.max() < 0.3 * 2 * np.pi * 200 / RATE * 1.2


def test_trim_leaves_the_speech_and_a_little_more(tmp_path: Path, voice: np.ndarray) -> None:
    take = voice[: 4 * RATE]
    source = source_of(tmp_path, np.concatenate([np.zeros(3 * RATE, np.float32), take, np.zeros(2 * RATE)]))
    y = through("trim", source, trim_pad_s=0.2)
    assert y.size / RATE == pytest.approx(4.2, abs=0.4)
    assert "starts at 2." in source.notes[0] or "starts at 3." in source.notes[0]


def test_trim_leaves_what_it_hears_no_speech_in(tmp_path: Path) -> None:
    tone = (0.1 * np.sin(np.arange(2 * RATE) * 0.2)).astype(np.float32)
    source = source_of(tmp_path, tone)
    assert through("trim", source).size == tone.size
    assert "no speech" in source.notes[0]


def test_loudness_under_the_ceiling(tmp_path: Path, voice: np.ndarray) -> None:
    x = np.tile(0.3 * voice, 5)  # more than one piece
    x[::30000] = 0.3  # clicks that the gain would lift over the ceiling
    y = through("loudness", source_of(tmp_path, x), target_lufs=-18.0, true_peak_dbtp=-2.0)
    assert y.size == x.size
    assert integrated_lufs(y, RATE) == pytest.approx(-18.0, abs=0.7)
    assert true_peak_dbtp(y, RATE) <= -2.0


@pytest.mark.parametrize("n", [100, 2 * RATE])
def test_loudness_leaves_silence_and_scraps(tmp_path: Path, n: int) -> None:
    x = np.zeros(n, np.float32)
    source = source_of(tmp_path, x)
    assert np.array_equal(through("loudness", source), x)
    assert source.notes == ["too quiet or too short to have a loudness, so its level stays"]


def test_trim_keeps_the_pause_that_was_asked_for(tmp_path: Path, voice: np.ndarray) -> None:
    around = np.concatenate([np.zeros(3 * RATE, np.float32), voice, np.zeros(2 * RATE, np.float32)])
    tight, wide = (through("trim", source_of(tmp_path, around), trim_pad_s=pad) for pad in (0.0, 1.0))
    assert wide.size - tight.size == pytest.approx(2 * RATE, abs=RATE // 10)
    assert tight.size <= voice.size + RATE // 5


@pytest.mark.parametrize("rate_hz", [8000, 22050, 48000])
def test_a_constant_goes_and_the_tone_stays_at_every_rate(tmp_path: Path, rate_hz: int) -> None:
    t = np.arange(2 * rate_hz) / rate_hz
    tone = (0.2 * np.sin(2 * np.pi * 1000 * t)).astype(np.float32)
    heard = through("highpass", source_of(tmp_path, tone + np.float32(0.3), rate_hz))
    settled = slice(rate_hz, 2 * rate_hz)
    assert abs(float(heard[settled].mean())) < 1e-3
    assert float(heard[settled].std()) == pytest.approx(float(tone.std()), rel=0.02)


def test_a_whisper_is_raised_by_forty_decibels_at_most(tmp_path: Path, voice: np.ndarray) -> None:
    faint = voice[: 2 * RATE] * np.float32(0.01)
    source = source_of(tmp_path, faint)
    heard = through("loudness", source, target_lufs=-10.0)
    assert 20 * np.log10(heard.std() / faint.std()) == pytest.approx(40.0, abs=0.5)
    assert "gain +40.0 dB" in source.notes[0]
