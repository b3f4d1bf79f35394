"""Cut into a voice, clips carry their text and are what training takes; a person's verdicts stay."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from core.audio.encode import read_wav, write_audio
from core.cleaning.clean import run_clean
from core.cutting.voice_target import _put, recording_of
from core.dataset.clips import ClipTable
from core.dataset.prepare import run_prepare
from core.dataset.voices import Voice, VoiceStore
from core.errors import BadInput, NotFound
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


def test_a_cleaned_copy_is_cut_in_place_of_the_recording(
    talk: Talk, voice: Voice, subs: Path, cut: Any, workspace: Path
) -> None:
    original = cut(subs, voice=voice.name)
    levels = [cue["level_db"] for cue in json.loads(Path(original["report"]).read_text("utf-8"))["cues"]]
    context = ForegroundContext(load_settings({"workspace": str(workspace)}, env={}))
    steps = {"steps": ["loudness", "trim", "highpass"], "target_lufs": -35.0}
    run_clean({"voice": voice.name, "options": steps}, context)
    cleaned = cut(subs, voice=voice.name)
    report = json.loads(Path(cleaned["report"]).read_text("utf-8"))
    assert Path(report["cut_from"]).is_relative_to(voice.denoised.resolve())
    assert max(cue["level_db"] for cue in report["cues"]) < min(levels)
    assert (cleaned["clips"], cleaned["by_subtitle"], cleaned["correction"]) == (9, 0, None), "trimming moved no time"
    assert any("trim, highpass" in said for said in cleaned["warnings"])
    assert {clip.source for clip in ClipTable(voice).load()} == {talk.audio.name}
    again = cut(subs, voice=voice.name, use_original=True)
    report = json.loads(Path(again["report"]).read_text("utf-8"))
    assert Path(report["cut_from"]) == talk.audio.resolve()
    assert [cue["level_db"] for cue in report["cues"]] == levels


def test_lists_for_other_studios_name_the_accepted_clips(voice: Voice, subs: Path, cut: Any) -> None:
    result = cut(subs, voice=voice.name, language="zh", speaker="A|nn", sovits=True)
    lines = Path(result["list"]).read_text("utf-8").splitlines()
    clips = [clip for clip in ClipTable(voice).load() if clip.verdict == "accepted"]
    assert [line.split("|") for line in lines] == [
        [str(voice.path.resolve() / clip.audio), "A nn", "ZH", clip.text] for clip in clips
    ]
    folder = Path(result["sovits"])
    assert {path.name for path in folder.iterdir()} == {Path(clip.audio).name for clip in clips}
    (folder / "mine.wav").write_bytes(b"")
    again = cut(subs, voice=voice.name, speaker="A|nn", sovits=True, gpt_sovits=False, silence_ms=50)
    assert again["list"] is None
    names = {Path(clip.audio).name for clip in ClipTable(voice).load() if clip.verdict == "accepted"}
    assert {path.name for path in folder.iterdir()} == {*names, "mine.wav"}, "old clips go, what is not ours stays"


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


@pytest.fixture
def store(workspace: Path) -> VoiceStore:
    return VoiceStore(load_settings({"workspace": str(workspace)}, env={}).voices_dir)


def recordings(voice: Voice) -> set[str]:
    return {path.relative_to(voice.raw).as_posix() for path in voice.raw.rglob("*") if path.is_file()}


def test_a_recording_from_elsewhere_is_imported_once(talk: Talk, store: VoiceStore, voice: Voice) -> None:
    name = recording_of(store, voice, talk.audio)
    assert recordings(voice) == {name} == {talk.audio.name}
    assert recording_of(store, voice, talk.audio) == name
    assert recording_of(store, voice, voice.raw / name) == name
    assert recordings(voice) == {name}


def test_a_recording_in_a_folder_keeps_its_place(talk: Talk, store: VoiceStore, voice: Voice) -> None:
    (voice.raw / "日" / "b").mkdir(parents=True)
    place = voice.raw / "日" / "b" / "x.wav"
    place.write_bytes(talk.audio.read_bytes())
    assert recording_of(store, voice, place) == "日/b/x.wav"
    assert recording_of(store, voice, talk.audio) == "日/b/x.wav", "the same content is the same recording"


def test_another_recording_of_that_name_gets_one_of_its_own(
    talk: Talk, store: VoiceStore, voice: Voice, tmp_path: Path
) -> None:
    first = recording_of(store, voice, talk.audio)
    other = tmp_path / "other" / talk.audio.name
    write_audio(other, talk.samples[: 2 * 22050], 22050)
    second = recording_of(store, voice, other)
    assert first != second
    assert recordings(voice) == {first, second}


def test_what_is_no_audio_is_not_taken(store: VoiceStore, voice: Voice, tmp_path: Path) -> None:
    (tmp_path / "notes.wav").write_bytes(b"no sound at all")
    with pytest.raises(BadInput, match=r"notes\.wav"):
        recording_of(store, voice, tmp_path / "notes.wav")
    assert recordings(voice) == set()


def test_a_run_that_fails_takes_its_clips_along(talk: Talk, voice: Voice, subs: Path, cut: Any) -> None:
    cut(subs, voice=voice.name)
    before = {path.name: path.read_bytes() for path in voice.sliced.iterdir() if path.suffix == ".wav"}
    table = ClipTable(voice).load()
    times = iter(range(100))

    def stop(fraction: float, message: str) -> None:
        if next(times) == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cut(subs, voice=voice.name, silence_ms=77, on_progress=stop)
    assert ClipTable(voice).load() == table
    assert {path.name: path.read_bytes() for path in voice.sliced.iterdir() if path.suffix == ".wav"} == before


def test_two_threads_may_write_clips_of_one_sound(tmp_path: Path) -> None:
    data = b"x" * 4_000_000
    target = tmp_path / f"a_{'0' * 16}.wav"
    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(_put, target, data) for _ in range(64)]:
            done.result()
    assert [path.name for path in tmp_path.iterdir()] == [target.name]
    assert target.read_bytes() == data
