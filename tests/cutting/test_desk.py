"""What the page Cutting does, without a page: subtitles in, cleaning reviewed, transcription asked for, clips out."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.cutting.desk import CuttingDesk
from core.errors import BadInput, Conflict, NotFound, Unavailable
from core.jobs.model import Job
from core.settings import Settings
from core.studio import Studio
from core.subtitles.write import to_srt

VOICE, NAME = "Ann 声", "talk.wav"
FRAGMENTS = (
    "1\n00:00:00,500 --> 00:00:02,000\nthe boats slip\n\n2\n00:00:02,000 --> 00:00:04,000\npast the wall.\n\n"
    "3\n00:00:05,000 --> 00:00:07,500\nShe counted seven lanterns.\n"
)


@pytest.fixture
def studio(workspace: Path, tmp_path: Path, write_wav: Callable[..., Path]) -> Iterator[Studio]:
    made = Studio(Settings(workspace=workspace, pretrain_dir=tmp_path / "pretrain", device="cpu"))
    made.create_voice(VOICE)
    tone = 0.2 * np.sin(np.arange(8 * 8000) / 8000 * 2 * np.pi * 220)
    made.add_recordings(VOICE, [write_wav(tmp_path / NAME, tone, 8000)])
    yield made
    made.close()


@pytest.fixture
def desk(studio: Studio) -> CuttingDesk:
    return studio.cutting


def put(desk: CuttingDesk, tmp_path: Path, text: str | bytes = FRAGMENTS) -> None:
    path = tmp_path / "talk.srt"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    desk.import_subtitles(VOICE, NAME, path)


def finish(studio: Studio, job: Job, result: dict[str, Any]) -> None:
    """As the dispatcher does it."""
    store = studio._jobs.store
    assert store.claim("work") is not None
    assert store.finish(job.id, "completed", result=result)


def test_bad_subtitles_are_findings(desk: CuttingDesk, tmp_path: Path) -> None:
    put(desk, tmp_path, b"\xff\xfe\x00\x01 no subtitles at all \x00\x00")
    sheet = desk.sheet(VOICE, NAME)
    assert sheet.cues == []
    assert sheet.findings
    put(desk, tmp_path, FRAGMENTS + "\n4\n01:00:00,000 --> 01:00:01,000\nlate\n")
    assert any("end of the audio" in note for note in desk.sheet(VOICE, NAME).cues[-1].notes)


def test_unknown_voices_and_recordings(desk: CuttingDesk) -> None:
    for voice, name in (("nobody", NAME), (VOICE, "none.wav"), (VOICE, "")):
        with pytest.raises(NotFound):
            desk.sheet(voice, name)
    with pytest.raises((NotFound, BadInput)):
        desk.audio(VOICE, "../../../../etc/passwd")
    assert desk.recordings(VOICE) == [NAME]


def test_rules_are_reviewed_and_taken(desk: CuttingDesk, tmp_path: Path) -> None:
    put(desk, tmp_path)
    assert desk.review(VOICE, NAME) == []
    assert desk.clean(VOICE, NAME, "rules", {}) is None
    rows = desk.review(VOICE, NAME)
    assert sum(len(row["original"]) for row in rows) == 3
    assert len(rows) < 3
    assert desk.review_stamp(VOICE, NAME)
    sheet = desk.take_review(VOICE, NAME, {row["position"] for row in rows})
    assert {cue.start_ms for cue in sheet.cues} <= {500, 2000, 5000}, "times are those of the source"
    assert [cue.end_ms for cue in sheet.previous] == [2000, 4000, 7500]
    assert desk.review(VOICE, NAME) == []
    with pytest.raises(NotFound, match="Clean the cues first"):
        desk.take_review(VOICE, NAME, set())


def test_a_glossary_is_kept_with_the_voice_and_used(desk: CuttingDesk, tmp_path: Path) -> None:
    assert desk.glossary(VOICE) == ""
    put(desk, tmp_path)
    desk.set_glossary(VOICE, "  Lanturns \n\nboats = Botes\n")
    assert desk.glossary(VOICE) == "Lanturns\nboats = Botes"
    desk.clean(VOICE, NAME, "rules", {})
    texts = [row["answer"]["text"] for row in desk.review(VOICE, NAME)]
    assert " ".join(texts) == "The Botes slip past the wall. She counted seven Lanturns."
    assert "Lanturns" in desk.prompts(VOICE, NAME)[0]
    with pytest.raises(BadInput):
        desk.set_glossary(VOICE, "x\n" * 3000)


def test_what_a_cutting_hears(desk: CuttingDesk) -> None:
    assert desk.sound(VOICE, NAME) == desk.audio(VOICE, NAME)
    with pytest.raises(NotFound):
        desk.sound(VOICE, "none.wav")


def test_a_review_of_cues_that_changed_is_refused(desk: CuttingDesk, tmp_path: Path) -> None:
    put(desk, tmp_path)
    desk.clean(VOICE, NAME, "rules", {})
    sheet = desk.sheet(VOICE, NAME)
    cues = [cue.model_dump() for cue in sheet.cues]
    cues[0]["end_ms"] -= 1
    desk.save(VOICE, NAME, sheet.version, cues)
    with pytest.raises(Conflict, match="changed since"):
        desk.take_review(VOICE, NAME, {0})
    desk.drop_review(VOICE, NAME)
    assert desk.review_stamp(VOICE, NAME) == 0


def test_an_answer_is_checked_and_refused_cue_by_cue(desk: CuttingDesk, tmp_path: Path) -> None:
    put(desk, tmp_path)
    assert "the boats slip" in desk.prompts(VOICE, NAME)[0]
    answer = FRAGMENTS.replace("05,000", "05,100").replace("the boats slip", "The boats slip")
    desk.clean(VOICE, NAME, "answer", {}, f"Here you are:\n```\n{answer}\n```")
    verdicts = {row["answer"]["start_ms"]: row["verdict"] for row in desk.review(VOICE, NAME) if row["answer"]}
    assert verdicts == {500: "ok", 2000: "ok", 5100: "failed"}
    sheet = desk.take_review(VOICE, NAME, {0, 1})
    assert [(cue.start_ms, cue.text) for cue in sheet.cues][-1] == (5000, "She counted seven lanterns.")
    with pytest.raises(BadInput, match="no subtitles"):
        desk.clean(VOICE, NAME, "answer", {}, "I cannot help with that.")


def test_an_endpoint_is_kept_without_its_key(
    desk: CuttingDesk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("STUDIO_LLM_KEY", raising=False)
    put(desk, tmp_path)
    with pytest.raises(BadInput, match="No language model"):
        desk.clean(VOICE, NAME, "endpoint", {})
    with pytest.raises(BadInput, match="base_url"):
        desk.set_endpoint({"base_url": "ftp://x", "model": "m"})
    desk.set_endpoint({"base_url": "http://127.0.0.1:9/v1", "model": "m"}, "very-secret")
    found = desk.endpoint()
    assert found is not None
    assert found[1]
    assert "very-secret" not in repr(found)
    job = desk.clean(VOICE, NAME, "endpoint", {"limit_s": 14})
    assert job is not None
    assert "very-secret" not in str(job.params)


def test_without_a_model_transcribing_says_how_to_get_one(desk: CuttingDesk) -> None:
    with pytest.raises(Unavailable) as told:
        desk.transcribe(VOICE, NAME, {"engine": "whisper"})
    assert "by hand" in told.value.hint
    known = desk.recognisers()
    assert {"whisper", "parakeet"} == set(known)
    assert not any(here for models in known.values() for _, here, _ in models)
    with pytest.raises(BadInput, match="engine"):
        desk.transcribe(VOICE, NAME, {"engine": "telepathy"})


def test_a_finished_transcription_becomes_the_cues_once(studio: Studio, desk: CuttingDesk, tmp_path: Path) -> None:
    put(desk, tmp_path)
    out = desk._file(VOICE, NAME).file(".asr.srt")
    job = studio._jobs.submit("transcribe", {"audio": str(desk.audio(VOICE, NAME)), "out": str(out)}, VOICE)
    out.write_text(to_srt([cue.cue for cue in desk.sheet(VOICE, NAME).cues[:1]]))
    finish(studio, job, {"out": str(out), "model": "whisper-small"})
    sheet = desk.sheet(VOICE, NAME)
    assert (len(sheet.cues), len(sheet.previous), sheet.source) == (1, 3, "whisper-small")
    put(desk, tmp_path)
    assert len(desk.sheet(VOICE, NAME).cues) == 3, "what was taken over once does not come back"


def test_cut_takes_accepted_cues_and_its_report_outlives_a_new_name(
    studio: Studio, desk: CuttingDesk, tmp_path: Path
) -> None:
    with pytest.raises(BadInput, match="no cues"):
        desk.cut(VOICE, NAME, {})
    put(desk, tmp_path)
    sheet = desk.sheet(VOICE, NAME)
    cues = [cue.model_dump() for cue in sheet.cues]
    cues[1]["rejected"] = True
    desk.save(VOICE, NAME, sheet.version, cues)
    assert desk.report(VOICE, NAME) is None
    with pytest.raises(BadInput, match="buffer_ms"):
        desk.cut(VOICE, NAME, {"buffer_ms": -1})
    job = desk.cut(VOICE, NAME, {"sample_rate": 8000})
    with pytest.raises(Conflict):
        desk.cut(VOICE, NAME, {})
    finish(studio, job, studio.run_foreground("slice", job.params))
    report = desk.report(VOICE, NAME)
    assert report is not None
    assert [cue["cue_start_s"] for cue in report["cues"]] == [0.5, 5.0]
    assert len(studio.clips(VOICE)) == 2
    studio.rename_voice(VOICE, "Ben")
    renamed = desk.report("Ben", NAME)
    assert renamed is not None
    assert all(Path(cue["audio"]).is_file() for cue in renamed["cues"])


def test_timing_is_corrected(desk: CuttingDesk, tmp_path: Path) -> None:
    put(desk, tmp_path)
    assert [cue.start_ms for cue in desk.correct(VOICE, NAME, 0.25, 1.0).cues] == [750, 2250, 5250]
