"""The figures of one clip, on sounds whose truth is known."""

from pathlib import Path

import numpy as np
import pytest

from core.audio.encode import write_audio
from core.errors import BadInput
from core.quality.figures import ClipFigures, measure_clip
from core.quality.notes import note_name
from tests.quality.conftest import Say, in_room


def figures_of(folder: Path, audio: np.ndarray, rate_hz: int = 16000) -> ClipFigures:
    return measure_clip(write_audio(folder / "clip.wav", audio, rate_hz))


def test_speech(tmp_path: Path, say: Say) -> None:
    take = np.concatenate([np.zeros(16000, np.float32), say(0)])
    found = figures_of(tmp_path, take)
    assert found.duration_s == pytest.approx(take.size / 16000, abs=0.01)
    assert found.active_s == pytest.approx(found.duration_s - 1.0, abs=0.15)
    assert (found.speech_ratio or 0) == pytest.approx((take.size - 16000) / take.size, abs=0.12)
    assert 180 < (found.f0_median_hz or 0) < 280
    assert found.f0_low_hz < found.f0_median_hz < found.f0_high_hz  # type: ignore[operator]
    assert sum(found.notes.values()) == pytest.approx((found.voiced_share or 0) * found.duration_s, rel=0.05)
    assert -30 < found.lufs < -15
    assert found.true_peak_dbtp < 0.5


def test_a_sung_note_has_its_name(tmp_path: Path) -> None:
    t = np.arange(32000) / 16000
    tone = np.sum([0.2 / k * np.sin(2 * np.pi * 220 * k * t) for k in range(1, 8)], axis=0)
    found = figures_of(tmp_path, tone.astype(np.float32))
    assert note_name(max(found.notes, key=lambda note: found.notes[note])) == "A3"
    assert (found.voiced_share or 0) > 0.9


def test_an_upsampled_telephone_is_found_out(takes: Path) -> None:
    assert measure_clip(takes / "phone.wav").bandwidth_hz < 4500
    assert measure_clip(takes / "w0.wav").bandwidth_hz > 7000


def test_noise_clipping_and_room(tmp_path: Path, say: Say) -> None:
    take = say(1)
    clean = figures_of(tmp_path, take)
    noisy = figures_of(tmp_path, take + 0.03 * np.random.default_rng(0).standard_normal(take.size))
    assert noisy.snr_db < 15 < clean.snr_db
    assert figures_of(tmp_path, np.clip(5 * take, -1, 1)).clipped_fraction > 0.005 > clean.clipped_fraction
    assert (figures_of(tmp_path, in_room(take, 0.6)).rt60_s or 0) > 0.4 > (clean.rt60_s or 9)


@pytest.mark.parametrize("n_samples", [1, 200, 8000])
def test_silence_and_scraps_have_figures(tmp_path: Path, n_samples: int) -> None:
    found = figures_of(tmp_path, np.zeros(n_samples, np.float32))
    assert found.active_s == 0
    assert (found.rt60_s, found.f0_median_hz, found.notes, found.fingerprint) == (None, None, {}, "")


def test_no_sound_at_all(tmp_path: Path) -> None:
    (tmp_path / "x.wav").write_bytes(b"RIFF")
    with pytest.raises(BadInput):
        measure_clip(tmp_path / "x.wav")
