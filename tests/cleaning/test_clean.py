"""The job: steps kept for listening and undo, originals untouched, clips made of what was cleaned."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.audio.decode import load
from core.audio.encode import write_audio
from core.audio.loudness import integrated_lufs
from core.cleaning import record
from core.cleaning.clean import run_clean
from core.errors import BadInput, Cancelled, Conflict, NotFound, Unavailable
from core.jobs.context import ForegroundContext
from tests.cleaning.kit import RATE, context
from tests.dataset.kit import Bench

LIGHT = {"steps": ["highpass", "loudness"]}


def clean(bench: Bench, **params: Any) -> dict[str, Any]:
    return run_clean({"voice": bench.voice.name, "options": LIGHT, **params}, ForegroundContext(bench.settings))


@pytest.fixture
def bench(workspace: Path, voice: np.ndarray) -> Bench:
    bench = Bench(workspace)
    bench.record("a b.wav", 0.2 * voice)
    return bench


def test_steps_are_kept_and_can_be_undone(bench: Bench) -> None:
    raw = bench.voice.raw / "a b.wav"
    original = raw.read_bytes()
    result = clean(bench)
    assert raw.read_bytes() == original
    steps = record.before_and_after(bench.voice, "a b.wav")
    assert [name for name, _, _ in steps] == ["highpass", "loudness"]
    assert steps[0][1] == raw
    assert steps[0][2] == steps[1][1]
    assert str(steps[1][2]) == result["files"][0]["result"]
    assert result["files"][0]["steps"][1]["after"]["lufs"] == pytest.approx(-20.0, abs=0.5)

    voice = bench.voice
    assert record.current(voice, "a b.wav") == steps[1][2]
    assert record.undo(voice, "a b.wav").active == 1
    assert record.current(voice, "a b.wav") == steps[0][2]
    record.undo(voice, "a b.wav")
    assert record.current(voice, "a b.wav") == raw
    with pytest.raises(Conflict):
        record.undo(voice, "a b.wav")
    record.redo(voice, "a b.wav")
    assert record.current(voice, "a b.wav") == steps[0][2]


def test_clips_are_made_of_what_was_cleaned(bench: Bench) -> None:
    bench.prepare(loudness="none")
    before = {clip.sha256 for clip in bench.clips()}
    clean(bench)
    bench.prepare(loudness="none")
    cleaned = bench.clips()
    assert not before & {clip.sha256 for clip in cleaned}
    assert {clip.source for clip in cleaned} == {"a b.wav"}
    loudness = [integrated_lufs(load(bench.voice.path / clip.audio), RATE) for clip in cleaned]
    assert np.mean(loudness) == pytest.approx(-20.0, abs=2.0)
    for _ in range(2):
        record.undo(bench.voice, "a b.wav")
    bench.prepare(loudness="none")
    assert {clip.sha256 for clip in bench.clips()} == before


def test_a_recording_that_changed_is_not_taken_for_cleaned(bench: Bench, voice: np.ndarray) -> None:
    clean(bench)
    bench.record("a b.wav", 0.1 * voice[:RATE])
    assert record.current(bench.voice, "a b.wav") == bench.voice.raw / "a b.wav"
    with pytest.raises(NotFound):
        record.undo(bench.voice, "a b.wav")
    clean(bench)
    assert record.current(bench.voice, "a b.wav") != bench.voice.raw / "a b.wav"


@pytest.mark.parametrize("damage", ["gone", "torn", "beyond"])
def test_a_damaged_record_falls_back_to_the_recording(bench: Bench, damage: str) -> None:
    clean(bench)
    folder = record.folder_of(bench.voice, "a b.wav")
    if damage == "gone":
        (folder / "1_highpass.flac").unlink()
    elif damage == "torn":
        (folder / record.RECORD_FILE).write_bytes(b'{"source": "a')
    else:
        text = (folder / record.RECORD_FILE).read_text("utf-8").replace('"active": 2', '"active": 9')
        (folder / record.RECORD_FILE).write_text(text, "utf-8")
    assert record.current(bench.voice, "a b.wav") == bench.voice.raw / "a b.wav"


def test_folders_of_like_names_do_not_meet(bench: Bench) -> None:
    names = ["a/b.wav", "a_b.wav", "b.wav", "c/b.wav", "b.flac"]
    assert len({record.folder_of(bench.voice, name) for name in names}) == len(names)


def test_files_into_a_folder(workspace: Path, voice: np.ndarray) -> None:
    source = write_audio(workspace / "in" / "take.mp3", voice[: 2 * RATE], 44100)
    (workspace / "in" / "no.wav").write_bytes(b"RIFF")
    out = workspace / "out"
    params = {"files": [str(source), str(workspace / "in" / "no.wav")], "out": str(out), "options": LIGHT}
    result = run_clean(params, context(workspace))
    assert [Path(one["result"]) for one in result["files"]] == [out / "take.flac"]
    assert list(result["failed"]) == ["no.wav"]
    assert load(out / "take.flac").size == load(source).size
    again = run_clean({**params, "files": [str(source)]}, context(workspace))
    assert Path(again["files"][0]["result"]) != out / "take.flac", "nothing is overwritten"
    assert not [path for path in out.rglob("*") if path.name.startswith(".tmp")]


def test_cancel_leaves_nothing_half_made(bench: Bench) -> None:
    def watch(fraction: float, message: str) -> None:
        if "loudness" in message:
            ctx.request_cancel()

    ctx = ForegroundContext(bench.settings, watch)
    with pytest.raises(Cancelled):
        run_clean({"voice": bench.voice.name, "options": LIGHT}, ctx)
    assert list(bench.voice.denoised.iterdir()) == []


def test_wrong_orders_are_refused(bench: Bench, workspace: Path) -> None:
    with pytest.raises(NotFound, match="gone"):
        clean(bench, files=["gone.wav"])
    with pytest.raises(BadInput, match="wants a voice"):
        run_clean({"options": LIGHT}, context(workspace))
    with pytest.raises(BadInput, match="nothing to clean"):
        run_clean({"out": str(workspace)}, context(workspace))
    with pytest.raises(NotFound):
        run_clean({"out": str(workspace), "files": ["no.wav"]}, context(workspace))
    with pytest.raises(Unavailable):
        run_clean({"voice": bench.voice.name, "options": {"steps": ["separate"]}}, context(workspace))
    broken = workspace / "broken.wav"
    broken.write_bytes(b"x")
    with pytest.raises(BadInput):
        run_clean({"out": str(workspace / "o"), "files": [str(broken)], "options": LIGHT}, context(workspace))


def test_names_and_places_that_are_hard(workspace: Path, voice: np.ndarray) -> None:
    long = write_audio(workspace / "in" / f"{'声' * 80}.wav", voice[:RATE], RATE)
    done = run_clean({"files": [str(long)], "out": str(workspace / "out"), "options": LIGHT}, context(workspace))
    assert load(Path(done["files"][0]["result"]), RATE).size == RATE
    (workspace / "file").write_text("mine")
    with pytest.raises(BadInput, match="no folder"):
        run_clean({"files": [str(long)], "out": str(workspace / "file"), "options": LIGHT}, context(workspace))
