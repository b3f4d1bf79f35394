"""Cut into a voice, clips carry their text and are what training takes; a person's verdicts stay."""

import json
from pathlib import Path
from typing import Any

import pytest

from core.audio.encode import read_wav
from core.dataset.clips import ClipTable
from core.dataset.prepare import run_prepare
from core.dataset.voices import Voice, VoiceStore
from core.errors import NotFound
from core.jobs.context import ForegroundContext
from core.settings import load_settings
from tests.cutting.conftest import Talk


@pytest.fixture
def voice(workspace: Path) -> Voice:
    return VoiceStore(load_settings({"workspace": str(workspace)}, env={}).voices_dir).create("安 Ann")


@pytest.fixture
def subs(talk: Talk, tmp_path: Path) -> Path:
    return talk.srt(tmp_path / "talk.srt")


def test_clips_with_text_are_measured_judged_and_listed(talk: Talk, voice: Voice, subs: Path, cut: Any) -> None:
    result = cut(subs, voice=voice.name)
    clips = ClipTable(voice).load()
    assert [clip.text for clip in clips] == [f"Sentence {n}." for n in range(1, 10)]
    assert result["accepted"] + result["review"] + result["rejected"] == len(clips) == 9
    assert result["accepted"] >= 8
    for clip, (start, end) in zip(clips, talk.truth, strict=True):
        assert clip.source == talk.audio.name
        assert (voice.raw / clip.source).is_file()
        assert clip.start_s < start + 0.2
        assert clip.end_s > end - 0.2
        audio, rate_hz = read_wav(voice.path / clip.audio)
        assert audio.size / rate_hz == pytest.approx(clip.duration_s, abs=1e-3)
        assert clip.snr_db > 20
    rows = [json.loads(line) for line in (voice.path / "train.jsonl").read_text("utf-8").splitlines()]
    assert len(rows) == result["accepted"]
    assert rows[0]["text"] == "Sentence 1."
    report = json.loads(Path(result["report"]).read_text("utf-8"))
    assert all(Path(cue["audio"]).is_file() for cue in report["cues"])


def test_verdicts_on_the_same_clips_stay_and_others_go(voice: Voice, subs: Path, cut: Any) -> None:
    cut(subs, voice=voice.name)
    table = ClipTable(voice)
    ids = [clip.id for clip in table.load()]
    table.set_verdict(ids[:2], "rejected")
    again = cut(subs, voice=voice.name)
    assert [clip.id for clip in table.load()] == ids
    assert [clip.by_user for clip in table.load()[:3]] == [True, True, False]
    assert again["rejected"] >= 2
    assert len(list(voice.raw.iterdir())) == 1, "the recording is not imported twice"
    cut(subs, voice=voice.name, silence_ms=100)
    files = {path.name for path in voice.sliced.glob("*.wav")}
    assert files == {Path(clip.audio).name for clip in table.load()}
    cut(subs, voice=voice.name, silence_ms=50, append=True)
    assert len(table.load()) == 18


def test_another_preparation_keeps_what_was_cut(
    talk: Talk, voice: Voice, subs: Path, cut: Any, workspace: Path
) -> None:
    cut(subs, voice=voice.name)
    other = voice.raw / "other.wav"
    other.write_bytes(talk.audio.read_bytes()[:400_000])
    context = ForegroundContext(load_settings({"workspace": str(workspace)}, env={}))
    run_prepare({"voice": voice.name, "files": ["other.wav"], "options": {"rate_hz": 16000}}, context)
    texts = [clip.text for clip in ClipTable(voice).load() if clip.source == talk.audio.name]
    assert texts == [f"Sentence {n}." for n in range(1, 10)]


def test_no_such_voice(subs: Path, cut: Any) -> None:
    with pytest.raises(NotFound):
        cut(subs, voice="nobody")
