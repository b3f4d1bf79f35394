"""A sheet of cues keeps what a person does, refuses what two windows do at once, and loses nothing."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.cutting.sheet import SheetFile
from core.dataset.voices import Voice, VoiceStore
from core.errors import BadInput, Conflict
from core.subtitles.cue import Cue, Finding
from core.subtitles.parse import read

CUES = [Cue(0, 900, "one", 1), Cue(1000, 2000, "two", 2, "Ann"), Cue(2500, 4000, "three <b>", 3)]


@pytest.fixture
def voice(workspace: Path) -> Voice:
    return VoiceStore(workspace / "voices").create("声 voice")


@pytest.fixture
def file(voice: Voice) -> SheetFile:
    return SheetFile(voice, "take 1.wav")


def rows(file: SheetFile) -> list[dict[str, Any]]:
    return [cue.model_dump() for cue in file.load().cues]


def test_cues_come_with_what_was_found_about_them(file: SheetFile) -> None:
    assert file.load().cues == []
    findings = [Finding(3, 1, "overlap", "It overlaps."), Finding(9, None, "text", "Words without a time.")]
    sheet = file.replace(CUES, "a.srt", findings)
    assert [cue.notes for cue in sheet.cues] == [[], ["It overlaps."], []]
    assert [one["line"] for one in sheet.findings] == [3, 9]
    assert file.load() == sheet


def test_an_edit_from_an_old_version_is_refused(file: SheetFile) -> None:
    sheet = file.replace(CUES, "a.srt")
    edited = rows(file)
    edited[0]["text"] = "first"
    newer = file.save(sheet.version, edited)
    assert newer.cues[0].text == "first"
    assert newer.origin == sheet.origin
    with pytest.raises(Conflict, match="another window"):
        file.save(sheet.version, edited)


def test_what_is_no_cue_is_refused_and_nothing_changes(file: SheetFile) -> None:
    sheet = file.replace(CUES, "a.srt")
    good = rows(file)
    for bad in ({"end_ms": 0}, {"start_ms": -1}, {"text": "x" * 6000}, {"more": 1}, {"start_ms": "soon"}):
        with pytest.raises(BadInput, match="cannot be kept"):
            file.save(sheet.version, [{**good[0], **bad}])
    assert file.load() == sheet


def test_rejected_cues_survive_a_cleaning_and_are_not_exported(file: SheetFile) -> None:
    sheet = file.replace(CUES, "a.srt")
    edited = rows(file)
    edited[1]["rejected"] = True
    file.save(sheet.version, edited)
    assert [cue.text for cue in read(file.export(".x.vtt")).cues] == ["one", "three <b>"]
    cleaned = file.replace([Cue(0, 4000, "One. Three.")], "", keep_rejected=True)
    assert [(cue.text, cue.rejected) for cue in cleaned.cues] == [("One. Three.", False), ("two", True)]
    assert [cue.text for cue in cleaned.previous] == ["one", "two", "three <b>"]


def test_a_result_is_taken_over_once(file: SheetFile) -> None:
    file.replace(CUES, "a.srt")
    first = file.replace(CUES[:1], "asr", job=7)
    assert file.replace(CUES[:1], "asr", job=7) == first, "two windows at once: what was there before is not lost"
    assert len(first.previous) == 3


def test_a_text_that_is_too_long_is_not_dropped_in_silence(file: SheetFile) -> None:
    cue = file.replace([Cue(0, 1000, "a" * 5000 + " the rest")], "a.srt").cues[0]
    assert len(cue.text) == 5000
    assert "the rest" in cue.notes[0]


def test_nothing_to_export_is_said(file: SheetFile) -> None:
    with pytest.raises(BadInput, match="no cues"):
        file.export(".x.vtt")


def test_shift_moves_all_and_never_below_zero(file: SheetFile) -> None:
    file.replace(CUES, "a.srt")
    moved = file.shift(-0.95, 1.001)
    assert [(cue.start_ms, cue.end_ms) for cue in moved.cues] == [(51, 1052), (1552, 3054)], (
        "the first is gone: it has no time"
    )
    assert len(moved.previous) == 3


def test_a_damaged_sheet_is_told_and_kept(file: SheetFile) -> None:
    file.replace(CUES, "a.srt")
    file.path.write_text("{not json")
    with pytest.raises(BadInput, match="cannot be read"):
        file.load()
    assert len(file.replace(CUES, "b.srt").cues) == 3
    assert any("damaged" in path.name for path in file.path.parent.iterdir())


def test_two_recordings_of_one_stem_do_not_meet(voice: Voice) -> None:
    assert SheetFile(voice, "a.wav").path != SheetFile(voice, "a.mp3").path


TEXT = st.text(
    st.characters(codec="utf-8", exclude_characters="\r\n\x00\ufeff", exclude_categories=["Cc", "Cs"]), max_size=30
)


@given(st.lists(st.tuples(st.integers(0, 10**7), st.integers(1, 10**5), TEXT), max_size=12))
def test_what_is_saved_is_what_is_loaded(
    tmp_path_factory: pytest.TempPathFactory, made: list[tuple[int, int, str]]
) -> None:
    file = SheetFile(Voice("v", tmp_path_factory.mktemp("v")), "a.wav")
    cues = [{"start_ms": start, "end_ms": start + length, "text": text} for start, length, text in made]
    file.save(0, cues)
    kept = [(cue.start_ms, cue.end_ms, cue.text) for cue in file.load().cues]
    assert sorted(kept) == sorted((start, start + length, text) for start, length, text in made)
    assert [one[:2] for one in kept] == sorted(one[:2] for one in kept)
