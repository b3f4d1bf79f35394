"""Figures of renders mean what they say; what cannot be measured here is left out."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.settings import load_settings
from core.training.measures import Measures, whisper_folder, word_error_rate, words
from tests.training.material import RATE_HZ, sung_vowel, write_clip


def test_level_and_pitch_of_a_render(tmp_path: Path) -> None:
    voice = sung_vowel(1.2, 200.0)
    found = Measures(None, [], "dio", "cpu", None)(voice * 0.5, voice, RATE_HZ)
    assert found["level_db"] == pytest.approx(-6.02, abs=0.05)
    assert found["pitch_error_cents"] < 5
    from core.audio.resample import resample

    higher = resample(voice, RATE_HZ * 2 ** (1 / 12), RATE_HZ)  # a semitone up, and so much shorter
    n = len(higher)
    steady = Measures(None, [], "dio", "cpu", None)
    tone = np.sin(2 * np.pi * 200 * np.arange(n) / RATE_HZ) + 0.3 * np.sin(2 * np.pi * 400 * np.arange(n) / RATE_HZ)
    up = resample(tone.astype(np.float32), RATE_HZ * 2 ** (1 / 12), RATE_HZ)
    assert steady(up, tone.astype(np.float32), RATE_HZ)["pitch_error_cents"] == pytest.approx(100, abs=10)


def test_likeness_to_the_speaker(tmp_path: Path) -> None:
    pytest.importorskip("resemblyzer", reason="speaker similarity needs Resemblyzer")
    clips = [write_clip(tmp_path / f"{i}.wav", sung_vowel(1.5, 200.0, i)) for i in range(2)]
    measures = Measures(None, clips, "dio", "cpu", None)
    same = measures(sung_vowel(1.5, 200.0, 7), sung_vowel(1.5, 200.0, 7), RATE_HZ)["speaker_similarity"]
    noise = (0.1 * np.random.default_rng(0).standard_normal(RATE_HZ)).astype(np.float32)
    other = measures(noise, sung_vowel(1.0), RATE_HZ)["speaker_similarity"]
    assert same > other + 0.1


def test_dnsmos_of_speech() -> None:
    pytest.importorskip("speechmos", reason="DNSMOS needs the package speechmos")
    found = Measures(None, [], "dio", "cpu", None)(sung_vowel(2.0), sung_vowel(2.0), RATE_HZ)
    assert 1.0 <= found["dnsmos"] <= 5.0


def test_a_measure_that_fails_is_left_out_once_and_for_all(caplog: pytest.LogCaptureFixture) -> None:
    measures = Measures(None, [], "no such predictor", "cpu", None)
    for _ in range(2):
        assert "pitch_error_cents" not in measures(sung_vowel(0.5), sung_vowel(0.5), RATE_HZ)
    assert sum("pitch_error_cents" in record.message for record in caplog.records) == 1


def test_silence_has_no_pitch_error() -> None:
    silence = np.zeros(RATE_HZ, dtype=np.float32)
    found = Measures(None, [], "dio", "cpu", None)(silence, sung_vowel(1.0), RATE_HZ)
    assert "pitch_error_cents" not in found
    assert found["level_db"] < -60


def test_word_errors_need_a_model_on_this_machine(tmp_path: Path) -> None:
    settings = load_settings({"workspace": tmp_path, "pretrain_dir": tmp_path / "pretrain"}, env={})
    assert whisper_folder(settings) is None
    assert whisper_folder(None) is None
    folder = tmp_path / "pretrain" / "faster-whisper-tiny"
    folder.mkdir(parents=True)
    (folder / "model.bin").touch()
    assert whisper_folder(settings) == folder


def test_words_in_two_writings() -> None:
    assert words("Don't stop, 2 NOW!") == ["don't", "stop", "2", "now"]
    assert words("你好 world世界") == ["你", "好", "world", "世", "界"]


@given(st.lists(st.sampled_from("abc"), max_size=8), st.lists(st.sampled_from("abc"), max_size=8))
def test_word_error_rate(wanted: list[str], heard: list[str]) -> None:
    rate = word_error_rate(wanted, heard)
    assert (rate == 0) == (wanted == heard)
    assert rate * max(1, len(wanted)) <= max(len(wanted), len(heard))
    assert rate * max(1, len(wanted)) >= abs(len(wanted) - len(heard))
