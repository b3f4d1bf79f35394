"""What is remembered of a cleaning: which file stands for a recording now, and when the memory no longer counts."""

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.cleaning import record
from core.cleaning.record import RECORD_FILE, CleanRecord, StepRecord
from core.dataset.voices import Voice
from core.errors import Conflict, NotFound
from tests.dataset.kit import Bench

NAMES = ["highpass", "denoise", "loudness"]


@pytest.fixture
def voice(workspace: Path) -> Voice:
    return Bench(workspace).voice


def cleaned(voice: Voice, source: str = "take.wav", active: int = 3) -> Path:
    """A recording with three steps behind it; returns the folder of its record."""
    raw = voice.raw / source
    raw.parent.mkdir(parents=True, exist_ok=True)
    raw.write_bytes(b"recording")
    folder = record.folder_of(voice, source)
    folder.mkdir(parents=True)
    steps = [
        StepRecord(name, f"{n}_{name}.flac", 0.1, {"lufs": -30.0}, {"lufs": -20.0}) for n, name in enumerate(NAMES, 1)
    ]
    for step in steps:
        (folder / step.file).write_bytes(step.name.encode())
    stat = raw.stat()
    record.write(folder, CleanRecord(source, stat.st_size, stat.st_mtime_ns, 48000, {}, active, steps))
    return folder


@pytest.mark.parametrize("active", range(4))
def test_the_last_step_in_use_stands_for_the_recording(voice: Voice, active: int) -> None:
    folder = cleaned(voice, active=active)
    wanted = folder / f"{active}_{NAMES[active - 1]}.flac" if active else voice.raw / "take.wav"
    assert record.current(voice, "take.wav") == wanted


def test_what_is_written_is_what_is_read(voice: Voice) -> None:
    folder = cleaned(voice)
    found = record.read(voice, "take.wav")
    assert found is not None
    assert [step.name for step in found.steps] == NAMES
    assert found.steps[0].after == {"lufs": -20.0}
    record.write(folder, found)
    assert record.read(voice, "take.wav") == found


@given(st.lists(st.booleans(), max_size=12))
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_undo_and_redo_walk_along_the_steps_and_stop_at_the_ends(voice: Voice, ways: list[bool]) -> None:
    source, at = "walk.wav", 3
    if not record.folder_of(voice, source).exists():
        cleaned(voice, source)
    while (known := record.read(voice, source)) is not None and known.active < 3:
        record.redo(voice, source)
    for back in ways:
        step = -1 if back else 1
        if 0 <= at + step <= 3:
            at += step
            assert (record.undo if back else record.redo)(voice, source).active == at
        else:
            with pytest.raises(Conflict, match="undo" if back else "redo"):
                (record.undo if back else record.redo)(voice, source)
        known = record.read(voice, source)
        assert known is not None
        assert known.active == at
        assert len(known.steps) == 3, "what is out of use is kept"


def test_each_step_can_be_heard_before_and_after(voice: Voice) -> None:
    folder = cleaned(voice)
    heard = record.before_and_after(voice, "take.wav")
    assert [name for name, _, _ in heard] == NAMES
    assert heard[0][1] == voice.raw / "take.wav"
    assert [before for _, before, _ in heard[1:]] == [after for _, _, after in heard[:-1]]
    assert heard[-1][2] == folder / "3_loudness.flac"


@pytest.mark.parametrize(
    "damage",
    [
        lambda voice, folder: (folder / RECORD_FILE).unlink(),
        lambda voice, folder: (folder / RECORD_FILE).write_bytes(b"{"),
        lambda voice, folder: (folder / RECORD_FILE).write_bytes(b"\xff\xfe\x00"),
        lambda voice, folder: (folder / RECORD_FILE).write_bytes(50_000 * b"["),
        lambda voice, folder: (folder / RECORD_FILE).write_text("[1, 2]"),
        lambda voice, folder: (folder / "2_denoise.flac").unlink(),
        lambda voice, folder: (voice.raw / "take.wav").unlink(),
        lambda voice, folder: (voice.raw / "take.wav").write_bytes(b"another recording"),
    ],
)
def test_a_memory_that_does_not_fit_is_none(voice: Voice, damage: object) -> None:
    folder = cleaned(voice)
    damage(voice, folder)  # type: ignore[operator]
    assert record.read(voice, "take.wav") is None
    assert record.current(voice, "take.wav") == voice.raw / "take.wav"
    for act in (record.undo, record.redo, record.before_and_after):
        with pytest.raises(NotFound, match=r"take\.wav was not cleaned"):
            act(voice, "take.wav")


@pytest.mark.parametrize("active", [-1, 4, 99])
def test_more_steps_in_use_than_there_are_is_damage(voice: Voice, active: int) -> None:
    cleaned(voice, active=active)
    assert record.read(voice, "take.wav") is None


def test_a_record_of_a_newer_studio_is_read(voice: Voice) -> None:
    folder = cleaned(voice)
    data = json.loads((folder / RECORD_FILE).read_text("utf-8"))
    (folder / RECORD_FILE).write_text(json.dumps({**data, "mood": "new"}), "utf-8")
    assert record.read(voice, "take.wav") is not None


@given(st.lists(st.text(min_size=1, max_size=30), min_size=2, max_size=6, unique=True))
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_folders_of_different_recordings_differ_and_stay_inside(voice: Voice, sources: list[str]) -> None:
    folders = {record.folder_of(voice, source) for source in sources}
    assert len(folders) == len(sources)
    assert all(folder.parent == voice.denoised for folder in folders)
