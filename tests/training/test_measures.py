"""Figures of renders mean what they say; what cannot be measured here is left out."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.features import speaker
from core.settings import Settings, load_settings
from core.training.measures import Measures, word_error_rate, words
from tests.training.material import RATE_HZ, sung_vowel, write_clip
from tests.transcribe import tiny_parakeet


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


def test_of_a_text_that_was_spoken_nothing_is_compared_with_a_recording(tmp_path: Path) -> None:
    clips = [write_clip(tmp_path / f"{i}.wav", sung_vowel(1.5, 200.0, i)) for i in range(2)]
    found = Measures(None, clips, "", "cpu", None)(sung_vowel(1.5, 200.0, 7), None, RATE_HZ, "ah")
    assert {"level_db", "pitch_error_cents"}.isdisjoint(found)
    pytest.importorskip("resemblyzer", reason="speaker similarity needs Resemblyzer")
    assert found["speaker_similarity"] > 0.5


def test_silence_has_no_pitch_error() -> None:
    silence = np.zeros(RATE_HZ, dtype=np.float32)
    found = Measures(None, [], "dio", "cpu", None)(silence, sung_vowel(1.0), RATE_HZ)
    assert "pitch_error_cents" not in found
    assert found["level_db"] < -60


@pytest.fixture
def models(tmp_path: Path) -> Settings:
    """An empty folder of models."""
    return load_settings({"workspace": tmp_path, "pretrain_dir": tmp_path / "pretrain", "threads": 1}, env={})


def place_parakeet(settings: Settings) -> None:
    """A recogniser that always hears "Hello world." """
    pytest.importorskip("onnx_asr", reason="onnx-asr (optional) is not installed")
    tiny_parakeet.write(settings.pretrain_dir / "parakeet" / "tdt-0.6b-v2")


def test_without_a_recogniser_there_are_no_word_errors(models: Settings) -> None:
    assert "errors" not in Measures(None, [], "dio", "cpu", models).available()
    assert "errors" not in Measures(None, [], "dio", "cpu", None).available()


def test_errors_come_from_whichever_recogniser_is_here(models: Settings, speech_man: Path) -> None:
    place_parakeet(models)
    from core.audio.decode import load

    speech = load(speech_man, 16000)
    measures = Measures(None, [], "dio", "cpu", models)
    assert "errors" in measures.available()
    heard = measures._hear(speech, 16000).split()
    assert heard[:2] == ["Hello", "world."]
    assert measures(speech, speech, 16000)["wer"] == 0, "it hears the same in both"
    n = len(heard)
    text = "Goodbye " + " ".join(heard[1:])
    assert measures(speech, speech, 16000, text)["wer"] == pytest.approx(1 / n)
    chinese = measures(speech, speech, 16000, "你好世界")
    assert "wer" not in chinese
    assert chinese["cer"] >= 1, "not one character of it is heard"


def test_a_speaker_network_goes_before_resemblyzer(
    models: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Network(speaker.SpeakerEmbedder):
        """Its vector is the loudness of both halves of the clip."""

        name = "halves"

        def embed(self, audio_16k: np.ndarray) -> np.ndarray:
            half = len(audio_16k) // 2
            vector = np.array([np.abs(audio_16k[:half]).sum(), np.abs(audio_16k[half:]).sum()], np.float32)
            return np.asarray(vector / np.linalg.norm(vector), np.float32)

    clip = write_clip(tmp_path / "a.wav", np.concatenate([np.full(4000, 0.5), np.zeros(4000)]), 16000)
    assert "speaker_similarity" not in Measures(None, [], "dio", "cpu", models).available(), "no recordings"
    monkeypatch.setattr(speaker, "find", lambda settings: tmp_path / "network.onnx")
    monkeypatch.setattr(speaker, "create", lambda settings: Network())
    measures = Measures(None, [clip], "dio", "cpu", models)
    same, other = (np.concatenate(parts).astype(np.float32) for parts in (
        (np.full(4000, 0.1), np.zeros(4000)), (np.zeros(4000), np.full(4000, 0.1))))  # fmt: skip
    assert measures(same, same, 16000)["speaker_similarity"] == pytest.approx(1.0, abs=0.01)
    assert measures(other, other, 16000)["speaker_similarity"] < 0.1


def test_words_and_their_errors() -> None:
    assert words("Don't stop, 2 NOW!") == ["don't", "stop", "2", "now"]
    assert word_error_rate(["a", "b", "c"], ["a", "x", "c", "d"]) == pytest.approx(2 / 3)
    assert word_error_rate([], ["a"]) == 1


@given(st.lists(st.sampled_from("abc"), max_size=8), st.lists(st.sampled_from("abc"), max_size=8))
def test_word_error_rate(wanted: list[str], heard: list[str]) -> None:
    rate = word_error_rate(wanted, heard)
    assert (rate == 0) == (wanted == heard)
    assert rate * max(1, len(wanted)) <= max(len(wanted), len(heard))
    assert rate * max(1, len(wanted)) >= abs(len(wanted) - len(heard))
