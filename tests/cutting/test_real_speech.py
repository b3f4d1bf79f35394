"""Recordings of real speech with known truth: what the issue promises about cuts holds for two speakers."""

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.slicing import SPEAKERS, against_truth, agreement, make_recording
from core.audio.decode import load
from core.audio.vad import SpeechDetector
from core.cutting.segments import segments


@pytest.mark.parametrize("speaker", SPEAKERS)
def test_recall_neighbours_and_agreement(shared_dir: Path, tmp_path: Path, cut: Any, speaker: str) -> None:
    if not (shared_dir / "data" / speaker).is_dir():
        pytest.skip(f"no recordings of {speaker}")
    audio, subs, truth = make_recording(tmp_path / "long", 2.5, speaker, seed=11)
    result = cut(subs, tmp_path / "out", audio=audio)
    cues = json.loads(Path(result["report"]).read_text("utf-8"))["cues"]
    cuts = [(cue["start_s"], cue["end_s"]) for cue in cues]
    figures = against_truth(audio, truth, cuts)
    assert figures["foreign_s"] == 0.0
    assert figures["recall"] >= 0.995
    sound, answers = load(audio, 16000), []
    for cue in cues:
        low, high = int(max(0.0, cue["cue_start_s"] - 0.1) * 16000), int((cue["cue_end_s"] + 0.1) * 16000)
        detector = SpeechDetector()
        detector.push(sound[low:high])
        spans = segments(detector.finish().tolist(), min(high, sound.size) - low, 0.5)
        answers.append(((low + spans[0][0]) / 16000, (low + spans[-1][1]) / 16000))
    assert agreement(cuts, answers) >= 0.97
    assert result["correction"] is None
