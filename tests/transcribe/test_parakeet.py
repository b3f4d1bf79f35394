"""Parakeet through the real onnx-asr, with a model of a few kilobytes that always says the same."""

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.audio.vad import RATE_HZ, Span
from core.errors import ModelFileError
from core.jobs.context import ForegroundContext
from core.settings import Settings
from core.subtitles.parse import read
from core.transcribe.job import run_transcribe
from core.transcribe.parakeet import pieces, words_of
from tests.transcribe import tiny_parakeet


def test_words_of_tokens() -> None:
    words = words_of([" Hel", "lo", " wor", "ld", "."], [0.0, 0.16, 0.4, 0.64, 0.8], 10.0, 10.9)
    assert [(word.text, round(word.start_s, 3), round(word.end_s, 3)) for word in words] == [
        (" Hello", 10.0, 10.36),
        (" world.", 10.4, 10.9),
    ]
    assert words_of([], [], 0, 1) == []


@given(st.lists(st.tuples(st.floats(0.1, 3), st.floats(0.1, 40)), max_size=5))
def test_pieces_hold_all_speech_and_are_short(parts: list[tuple[float, float]]) -> None:
    spans, at = [], 0.0
    for gap_s, length_s in parts:
        spans.append(Span(at + gap_s, at + gap_s + length_s))
        at += gap_s + length_s
    audio = np.zeros(round(at * RATE_HZ) + 1, np.float32)
    found = pieces(spans, audio)
    assert all(0 < end - start <= 24 * RATE_HZ for start, end in found)
    assert all(before[1] <= after[0] for before, after in pairwise(found))
    inside = sum(end - start for start, end in found) / RATE_HZ
    assert inside >= sum(span.end_s - span.start_s for span in spans) - 1e-3


def test_a_recording_through_the_real_package(speech_man: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnx_asr", reason="onnx-asr (optional) is not installed")
    settings = Settings(workspace=tmp_path / "w", pretrain_dir=tmp_path / "pretrain", threads=1)
    tiny_parakeet.write(settings.pretrain_dir / "parakeet" / "tdt-0.6b-v3")
    out = tmp_path / "o.srt"
    params = {"audio": str(speech_man), "out": str(out), "engine": "parakeet"}
    result = run_transcribe(params, ForegroundContext(settings))
    json.dumps(result, allow_nan=False)
    assert (result["model"], result["engine"], result["language"]) == ("parakeet-tdt-0.6b-v3", "parakeet", None)
    cues = read(out).cues
    assert cues
    assert {cue.text for cue in cues} == {tiny_parakeet.SAYS}
    words = [json.loads(line) for line in Path(result["words"]).read_text().splitlines()]
    assert round(words[1]["start_s"] - words[0]["start_s"], 3) == tiny_parakeet.STARTS_S[1]
    assert words[0]["start_s"] < 1.0

    damaged = settings.pretrain_dir / "parakeet" / "tdt-0.6b-v3" / "encoder-model.onnx"
    damaged.write_bytes(b"no model")
    with pytest.raises(ModelFileError, match="cannot be loaded"):
        run_transcribe(params, ForegroundContext(settings))
