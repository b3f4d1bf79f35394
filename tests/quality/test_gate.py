"""The whole gate: on a folder, and on a voice whose clips come from the studio's own preparation."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.audio.encode import write_audio
from core.dataset.clips import Clip
from core.dataset.history import RecordedTable
from core.errors import BadInput, Cancelled, NotFound
from core.jobs.context import ForegroundContext
from core.quality.gate import run_qa
from core.settings import load_settings
from tests.dataset.kit import Bench
from tests.quality.conftest import Say, in_room


def judge(workspace: Path, **params: Any) -> dict[str, Any]:
    return run_qa(params, ForegroundContext(load_settings({"workspace": str(workspace)}, env={})))


def codes(result: dict[str, Any]) -> dict[str, list[str]]:
    rows = json.loads(Path(result["details"]).read_text("utf-8"))["rows"]
    return {row["name"]: [one["code"] for one in row["findings"]] for row in rows}


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace in which the shared takes have been judged."""
    return tmp_path_factory.mktemp("judged")


@pytest.fixture(scope="module")
def judged(takes: Path, room: Path) -> dict[str, Any]:
    """The shared takes, judged once."""
    return judge(room, folder=str(takes), report=str(room / "r.html"))


def test_each_odd_clip_of_a_folder_is_found(judged: dict[str, Any]) -> None:
    found = codes(judged)
    assert found["man.wav"] == ["other_speaker"]
    assert "narrow_band" in found["phone.wav"]
    assert sorted(found["copy.mp3"] + found["w0.wav"]) == ["duplicate"], "one of the two is kept"
    assert not any(found[f"w{index}.wav"] for index in range(1, 9))
    assert (judged["clips"], judged["review"], judged["rejected"]) == (12, 3, 0)
    assert judged["accepted"] == judged["set"]["accepted"] == 9
    json.dumps(judged, allow_nan=False)


def test_the_set_says_what_the_voice_will_reach(judged: dict[str, Any]) -> None:
    assert judged["set"]["low_note"] in ("D3", "D#3", "E3", "F3", "F#3", "G3")
    assert 0.5 < judged["minutes"] < 1.5
    remarks = {one["code"]: one for one in judged["findings"] if one["severity"] == "remark"}
    assert remarks["little_material"]["figures"].endswith("(limit 10.0 min)")
    assert remarks["little_material"]["advice"]


def test_thresholds_change_verdicts_and_nothing_is_measured_twice(
    takes: Path, room: Path, judged: dict[str, Any]
) -> None:
    assert judged["measured"] == 12
    strict = judge(room, folder=str(takes), thresholds={"snr_review_db": 79.9, "snr_reject_db": 79.0})
    assert (strict["accepted"], strict["measured"]) == (0, 0)
    lax = judge(room, folder=str(takes), thresholds={"speaker_z": None, "duplicate_similarity": None})
    assert lax["measured"] == 0
    assert lax["accepted"] == 11
    assert lax["report"] != strict["report"], "an earlier report stays"


def test_texts_that_do_not_fit(workspace: Path, tmp_path: Path, say: Say) -> None:
    for name, text in (
        ("right", "The old harbour wakes before the sun, and the first boats slip out."),
        ("short", "No"),
    ):
        write_audio(tmp_path / f"{name}.wav", say(0), 16000)
        (tmp_path / f"{name}.txt").write_text(text, "utf-8")
    write_audio(tmp_path / "none.wav", say(2), 16000)
    limits = {"rt60_review_s": 0.9, "duplicate_similarity": None}
    result = judge(workspace, folder=str(tmp_path), preset="tts", text_language="en", thresholds=limits)
    assert codes(result) == {"right.wav": [], "short.wav": ["text_pace"], "none.wav": ["no_text"]}
    assert "ð" in result["set"]["phonemes"]
    assert "missing_sounds" in {one["code"] for one in result["findings"]}


def test_files_with_evil_names_and_without_sound(workspace: Path, tmp_path: Path, say: Say) -> None:
    evil = tmp_path / "<script>alert('x')<" / 'a"b.wav'
    write_audio(evil, say(1), 16000)
    (tmp_path / "broken.wav").write_bytes(b"RIFF....WAVE")
    write_audio(tmp_path / "silent.wav", np.zeros(32000, np.float32), 16000)
    result = judge(workspace, folder=str(tmp_path))
    found = codes(result)
    assert found["broken.wav"] == ["unreadable"]
    assert found["silent.wav"] == ["silent"]
    assert result["rejected"] == 2
    page = Path(result["report"]).read_text("utf-8")
    assert "<script" not in page
    assert "broken.wav" in page


def clips_by_id(bench: Bench) -> dict[str, Clip]:
    return {clip.id: clip for clip in bench.clips()}


@pytest.fixture
def bench(workspace: Path, say: Say) -> Bench:
    """A voice with a clean recording and one of a bathroom, prepared."""
    bench = Bench(workspace)
    pause = np.zeros(12000, np.float32)
    noise = 3e-4 * np.random.default_rng(0).standard_normal(1_000_000).astype(np.float32)
    for name, room_s in (("dry.wav", 0.0), ("bath.wav", 0.9)):
        words = np.concatenate([part for index in range(3) for part in (say(index), pause)])
        audio = in_room(words, room_s) if room_s else words
        bench.record(name, audio + noise[: audio.size])
    bench.prepare()
    return bench


def test_verdicts_reach_the_table_and_can_be_undone(bench: Bench) -> None:
    before = clips_by_id(bench)
    kept = next(clip for clip in before.values() if clip.source == "bath.wav")
    bench.table.set_verdict([kept.id], "accepted")
    start = clips_by_id(bench)

    proposal = judge(bench.settings.workspace, voice=bench.voice.name)
    assert clips_by_id(bench) == start, "without apply nothing changes"
    applied = judge(bench.settings.workspace, voice=bench.voice.name, apply=True)
    after = clips_by_id(bench)
    assert applied["measured"] == 0
    assert after[kept.id] == start[kept.id], "a person's verdict is not touched"
    for clip in after.values():
        if clip.source == "bath.wav" and clip.id != kept.id:
            assert clip.verdict == "review"
            assert "reverberant" in clip.reasons
        if clip.source == "dry.wav":
            assert "reverberant" not in clip.reasons
    changed = sum(start[one].verdict != after[one].verdict for one in start)
    assert applied["changed"] == changed > 0
    counts = [sum(clip.verdict == v for clip in after.values()) for v in ("accepted", "review", "rejected")]
    assert counts == [proposal[v] for v in ("accepted", "review", "rejected")]
    manifest = (bench.voice.path / "train.jsonl").read_text("utf-8").splitlines()
    assert len(manifest) == counts[0], "training sees accepted clips only"

    assert RecordedTable(bench.voice).undo().label == "qa"
    assert clips_by_id(bench) == start

    reasons_of_other_parts_stay(bench)


def reasons_of_other_parts_stay(bench: Bench) -> None:
    """On the same voice, since preparing one takes seconds."""

    def mark(clips: list[Clip]) -> list[Clip]:
        return [replace(clip, reasons=["odd_cut", "noisy"], verdict="accepted", by_user=False) for clip in clips]

    bench.table.update(mark)
    judge(bench.settings.workspace, voice=bench.voice.name, apply=True)
    for clip in bench.clips():
        assert clip.verdict == "review"
        assert "odd_cut" in clip.reasons
        assert "noisy" not in clip.reasons, "the gate measured that itself"


def test_a_cancelled_run_keeps_what_it_measured(workspace: Path, tmp_path: Path, say: Say) -> None:
    for index in range(3):
        write_audio(tmp_path / "in" / f"{index}.wav", say(index)[:16000], 16000)
    takes = tmp_path / "in"
    settings = load_settings({"workspace": str(workspace)}, env={})
    seen: list[str] = []

    def watch(fraction: float, message: str) -> None:
        if message.startswith("Measured"):
            seen.append(message)
            context.request_cancel()

    context = ForegroundContext(settings, watch)
    with pytest.raises(Cancelled):
        run_qa({"folder": str(takes)}, context)
    assert seen
    again = judge(workspace, folder=str(takes))
    assert again["measured"] == 2
    assert len(list(settings.cache_dir.rglob("*.html"))) == 1


def test_wrong_orders_are_refused(takes: Path, workspace: Path) -> None:
    with pytest.raises(BadInput, match="voice or a folder"):
        judge(workspace)
    with pytest.raises(BadInput, match="not for a folder"):
        judge(workspace, folder=str(takes), apply=True)
    with pytest.raises(BadInput, match="colour"):
        judge(workspace, folder=str(takes), colour="red")
    with pytest.raises(BadInput, match="snr"):
        judge(workspace, folder=str(takes), thresholds={"snr": 1})
    with pytest.raises(NotFound):
        judge(workspace, voice="nobody")
    with pytest.raises(BadInput, match="is a folder"):
        judge(workspace, folder=str(takes), report=str(workspace))
