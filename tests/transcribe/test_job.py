"""The job "transcribe" with a tiny Parakeet: files, figures, and nothing half-made."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as settings_of_hypothesis
from hypothesis import strategies as st

from core.audio.encode import write_audio
from core.errors import BadInput, Cancelled
from core.jobs.context import ForegroundContext
from core.settings import Settings
from core.subtitles.cue import Cue
from core.subtitles.parse import read
from core.transcribe.job import _unsure, run_transcribe
from core.transcribe.words import Word, cues_of
from tests.transcribe import tiny_parakeet


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    pytest.importorskip("onnx_asr", reason="onnx-asr (optional) is not installed")
    return Settings(workspace=tmp_path / "w", pretrain_dir=tmp_path / "pretrain", threads=1, device="cpu")


@pytest.fixture
def params(tmp_path: Path, speech_man: Path) -> dict[str, Any]:
    model = tiny_parakeet.write(tmp_path / "tiny")
    return {"audio": str(speech_man), "out": str(tmp_path / "新" / "o.srt"), "engine": "parakeet", "model": str(model)}


def test_files_and_figures(params: dict[str, Any], settings: Settings) -> None:
    seen: list[float] = []
    result = run_transcribe(params, ForegroundContext(settings, lambda fraction, message: seen.append(fraction)))
    cues = read(result["out"]).cues
    assert result["cues"] == len(cues) > 0
    assert all(0 <= cue.start_ms < cue.end_ms <= 1000 * result["duration_s"] + 1000 for cue in cues)
    assert not read(result["out"]).findings, "what is written is plain"
    words = [json.loads(line) for line in Path(result["words"]).read_text("utf-8").splitlines()]
    assert set(words[0]) == {"text", "start_s", "end_s", "probability"}
    assert cues_of([Word(**word) for word in words])[0].text == cues[0].text
    assert seen == sorted(seen)
    assert seen[-1] == 1.0
    json.dumps(result, allow_nan=False)


def test_a_second_transcription_replaces_the_first(params: dict[str, Any], settings: Settings) -> None:
    first = run_transcribe(params, ForegroundContext(settings))
    Path(params["out"]).write_text("mine")
    second = run_transcribe(params, ForegroundContext(settings))
    assert first["cues"] == second["cues"]
    assert len(read(params["out"]).cues) == second["cues"]
    assert {path.name for path in Path(params["out"]).parent.iterdir()} == {"o.srt", "o.words.jsonl"}


@pytest.mark.parametrize("seconds", [0.05, 3.0])
def test_silence_is_no_speech_and_leaves_nothing(
    seconds: float, params: dict[str, Any], settings: Settings, tmp_path: Path
) -> None:
    silent = write_audio(tmp_path / "silent.wav", np.zeros(round(16000 * seconds)), 16000)
    with pytest.raises(BadInput, match=r"No speech was heard in silent\.wav"):
        run_transcribe({**params, "audio": str(silent)}, ForegroundContext(settings))
    assert not Path(params["out"]).parent.exists()


def test_a_cancel_leaves_neither_file(params: dict[str, Any], settings: Settings) -> None:
    context = ForegroundContext(settings, lambda fraction, message: fraction >= 0.05 and context.request_cancel())
    with pytest.raises(Cancelled):
        run_transcribe(params, context)
    assert not Path(params["out"]).parent.exists()


@pytest.mark.parametrize("out", ["file/o.srt", "tiny"])
def test_a_place_that_cannot_be_is_told_before_the_model_is_loaded(
    out: str, params: dict[str, Any], settings: Settings, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("mine")
    wrong = {**params, "out": str(tmp_path / out), "model": "not a model"}
    with pytest.raises(BadInput, match="cannot be written"):
        run_transcribe(wrong, ForegroundContext(settings))


spoken = st.lists(st.tuples(st.sampled_from([0.0, 0.1, 3.0]), st.floats(0, 1)), max_size=30)


@given(spoken)
@settings_of_hypothesis(max_examples=30)
def test_unsure_cues_are_those_whose_own_words_are(drawn: list[tuple[float, float]]) -> None:
    words, at = [], 0.0
    for gap, probability in drawn:
        words.append(Word(" word.", at + gap, at + gap + 0.4, probability))
        at += gap + 0.4
    cues = cues_of(words)
    assert len(cues) == len(words), "a sentence each"
    assert _unsure(cues, words) == [n for n, word in enumerate(words, start=1) if word.probability < 0.5]


def test_a_cue_is_judged_by_the_mean_of_its_words() -> None:
    words = [Word(" a", 0.0, 0.5, 0.9), Word(" b", 0.5, 1.0, 0.2), Word(" c", 1.0, 1.5, 0.3), Word(" d", 2.0, 2.5, 0.6)]
    assert _unsure([Cue(0, 1500, "a b c"), Cue(2000, 2500, "d")], words) == [1]
    assert _unsure([Cue(0, 1000, "a b"), Cue(1000, 2500, "c d")], words) == [2]
    assert _unsure([], words) == []
