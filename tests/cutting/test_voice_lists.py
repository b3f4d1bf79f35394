"""Table, manifest, report and what other studios read change together, or not at all, also on a full disk."""

import contextlib
import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from core.cutting.options import CutOptions
from core.cutting.voice_lists import lists_with
from core.dataset.clips import Clip, ClipTable
from core.dataset.history import RecordedTable
from core.dataset.prepare import run_prepare
from core.dataset.voices import Voice, VoiceStore
from core.errors import BadInput, NoSpace
from core.jobs.context import ForegroundContext
from core.settings import load_settings
from tests.cutting.conftest import Talk

resource = pytest.importorskip("resource", reason="file size limits are those of POSIX")


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """A long path: so the lists, which name whole paths, need more space than the table, which does not."""
    return tmp_path / ("d" * 200) / ("e" * 200) / ("f" * 200)


@pytest.fixture
def voice(workspace: Path) -> Voice:
    return VoiceStore(load_settings({"workspace": str(workspace)}, env={}).voices_dir).create("v" * 60)


@contextlib.contextmanager
def no_file_above(n_bytes: int) -> Iterator[None]:
    """Stands for a full disk: the system refuses to let any file grow further."""
    before, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def clip(number: int) -> Clip:
    name = f"{number:016x}"
    return Clip(name, f"sliced_audio/a_{name}.wav", "a.wav", number, number + 1, 1.0, -20, -3, 40, 0, name * 4)


def files(voice: Voice) -> dict[str, bytes]:
    """Everything of a voice but its lock."""
    found = (path for path in voice.path.rglob("*") if path.is_file() and path.name != ".clips.lock")
    return {path.relative_to(voice.path).as_posix(): path.read_bytes() for path in found}


def rows(voice: Voice) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (voice.path / "train.jsonl").read_text("utf-8").splitlines()]


def told_apart(talk: Talk, path: Path, word: str) -> Path:
    """Subtitles whose words differ but not their times, so that the clips are the same sound."""
    path.write_text(talk.srt(path).read_text("utf-8").replace("Sentence", word), "utf-8")
    return path


def test_a_table_whose_manifest_does_not_fit_stays(voice: Voice) -> None:
    table = ClipTable(voice)
    table.save([clip(n) for n in range(20)])
    before = files(voice)
    manifest, listed = voice.path / "train.jsonl", table.path
    assert manifest.stat().st_size > listed.stat().st_size + 500, "only the manifest is to be too large"
    with no_file_above(listed.stat().st_size + 500), pytest.raises(NoSpace):
        table.update(lambda clips: [*clips[1:], clip(99)])
    assert files(voice) == before


def test_on_a_full_disk_neither_table_nor_lists_change(talk: Talk, voice: Voice, cut: Any, tmp_path: Path) -> None:
    ClipTable(voice).save([clip(n) for n in range(40)])
    cut(told_apart(talk, tmp_path / "a.srt", "Sentence"), voice=voice.name)
    before = files(voice)
    room = (len(before["train.jsonl"]) + len(before["gpt_sovits.list"])) // 2
    assert max(len(data) for name, data in before.items() if name.endswith(("clips.jsonl", ".cuts.json"))) < room
    assert len(before["train.jsonl"]) + 100 < room < len(before["gpt_sovits.list"]) - 100
    other = told_apart(talk, tmp_path / "b.srt", "Trousers")
    with no_file_above(room), pytest.raises(NoSpace):
        cut(other, voice=voice.name)
    assert files(voice) == before
    cut(other, voice=voice.name)
    assert "Trousers 9." in {clip.text for clip in ClipTable(voice).load()}


def test_a_folder_that_cannot_be_laid_out_is_told_and_changes_nothing(
    talk: Talk, voice: Voice, cut: Any, tmp_path: Path
) -> None:
    cut(told_apart(talk, tmp_path / "a.srt", "Sentence"), voice=voice.name)
    (voice.path / "dataset_raw").write_bytes(b"somebody's")
    before = files(voice)
    with pytest.raises(BadInput):
        cut(told_apart(talk, tmp_path / "b.srt", "Trousers"), voice=voice.name, sovits=True)
    assert files(voice) == before


def test_the_layout_changes_after_the_block_only(voice: Voice) -> None:
    clips = [clip(n) for n in range(3)]
    voice.sliced.mkdir(exist_ok=True)
    for one in clips:
        (voice.path / one.audio).write_bytes(one.id.encode())
    options, folder = CutOptions(sovits=True, gpt_sovits=False), voice.path / "dataset_raw" / voice.name
    with lists_with(voice, clips[:2], options) as made:
        assert made == {"list": None, "sovits": str(folder.resolve())}
        assert not list(folder.glob("*.wav"))
    assert {path.name for path in folder.iterdir()} == {Path(one.audio).name for one in clips[:2]}
    with pytest.raises(KeyboardInterrupt), lists_with(voice, clips[1:], options):
        raise KeyboardInterrupt
    assert {path.name for path in folder.iterdir()} == {Path(one.audio).name for one in clips[:2]}
    with lists_with(voice, clips[1:], options):
        pass
    assert {path.name for path in folder.iterdir()} == {Path(one.audio).name for one in clips[1:]}


def test_speaker_and_language_stay_with_a_clip(talk: Talk, voice: Voice, cut: Any, tmp_path: Path) -> None:
    subs = talk.srt(tmp_path / "talk.srt")
    cut(subs, voice=voice.name)
    assert all(set(row) == {"audio", "text", "duration"} for row in rows(voice)), "nobody said who or in what"
    cut(subs, voice=voice.name, speaker="安", language="en")
    kept = {row["audio"] for row in rows(voice)}
    assert all((row["speaker"], row["language"]) == ("安", "en") for row in rows(voice))
    table = RecordedTable(voice)
    table.set_verdict([table.load()[0].id], "rejected")
    table.undo()
    other = voice.raw / "other.wav"
    other.write_bytes(talk.audio.read_bytes()[:300_000])
    context = ForegroundContext(load_settings({"workspace": str(voice.path.parent.parent)}, env={}))
    run_prepare({"voice": voice.name, "files": ["other.wav"], "options": {"rate_hz": 16000}}, context)
    for row in rows(voice):
        assert (row.get("speaker"), row.get("language")) == (("安", "en") if row["audio"] in kept else (None, None))
    cut(subs, voice=voice.name)
    lines = (voice.path / "gpt_sovits.list").read_text("utf-8").splitlines()
    assert {line.split("|")[1] for line in lines} == {voice.name}, "who speaks was not said this time"


def test_the_subtitles_say_who_speaks(talk: Talk, voice: Voice, cut: Any, tmp_path: Path) -> None:
    text = (
        talk.srt(tmp_path / "talk.srt").read_text("utf-8").replace(",", ".").replace("Sentence 1", "<v Bo>Sentence 1")
    )
    subs = tmp_path / "talk.vtt"
    subs.write_text("WEBVTT\n\n" + text, "utf-8")
    cut(subs, voice=voice.name)
    assert [row.get("speaker") for row in rows(voice)][:3] == ["Bo", None, None]
    lines = (voice.path / "gpt_sovits.list").read_text("utf-8").splitlines()
    assert [line.split("|")[1] for line in lines][:2] == ["Bo", voice.name]
