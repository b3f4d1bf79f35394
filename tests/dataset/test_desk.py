"""What the page Dataset does beyond the table, without a page: findings in words, the report, cleaning."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from core.dataset.desk import DatasetDesk
from core.errors import BadInput, Conflict, NotFound, Unavailable
from core.settings import Settings
from core.studio import Studio

VOICE, NAME = "Ann 声", "tone.wav"


@pytest.fixture
def studio(workspace: Path, tmp_path: Path, write_wav: Callable[..., Path]) -> Iterator[Studio]:
    made = Studio(Settings(workspace=workspace, pretrain_dir=tmp_path / "pretrain", device="cpu"))
    made.create_voice(VOICE)
    time = np.arange(3 * 16000) / 16000
    tone = 0.2 * np.sin(2 * np.pi * 180 * time) + np.random.default_rng(0).normal(0, 0.05, time.size)
    made.add_recordings(VOICE, [write_wav(tmp_path / NAME, tone, 16000)])
    yield made
    made.close()


@pytest.fixture
def desk(studio: Studio) -> DatasetDesk:
    return studio.dataset


def test_findings_in_both_languages(studio: Studio, desk: DatasetDesk) -> None:
    assert desk.quality(VOICE) is None
    assert desk.findings(VOICE, "en") == []
    with pytest.raises(NotFound, match="no report"):
        desk.report(VOICE)
    studio.run_foreground("prep", {"voice": VOICE, "options": {"rate_hz": 16000, "slicer": "none", "min_snr_db": 0}})
    job = desk.check(VOICE, "svc", {"snr_review_db": 60.0, "snr_reject_db": 50.0}, {"apply": True})
    studio.run_foreground("qa", job.params)
    found = {one["code"]: one for one in desk.findings(VOICE, "en")}
    clip = studio.clips(VOICE)[0]
    assert found["noisy"]["severity"] == "reject"
    assert found["noisy"]["clips"] == [clip.id]
    assert "none_accepted" in found
    assert all(one["why"] and one["advice"] for one in found.values())
    mine = {one["code"]: one for one in desk.clip_findings(VOICE, clip.id, "zh")}
    assert "dB" in mine["noisy"]["figures"]
    assert mine["noisy"]["title"] != found["noisy"]["title"], "the same finding, in Chinese"
    assert desk.clip_findings(VOICE, "nobody", "en") == []
    assert desk.report(VOICE).read_text("utf-8").startswith("<!doctype html>")

    undo, redo = desk.steps(VOICE)
    assert [step.label for step in undo] == ["qa"]
    assert clip.verdict == "rejected"
    studio.undo(VOICE)
    assert desk.steps(VOICE)[1][0].label == "qa"
    assert not redo


def test_what_is_asked_for_is_checked_first(studio: Studio, desk: DatasetDesk) -> None:
    with pytest.raises(BadInput, match="snr"):
        desk.check(VOICE, "svc", {"snr_review_db": 1.0, "snr_reject_db": 5.0}, {})
    with pytest.raises(BadInput, match="preset"):
        desk.check(VOICE, "opera", {}, {})
    with pytest.raises(NotFound):
        desk.check("nobody", "svc", {}, {})
    with pytest.raises(Unavailable, match="separation"):
        desk.clean(VOICE, {"steps": ["separate"]}, [])
    with pytest.raises(BadInput, match="steps"):
        desk.clean(VOICE, {"steps": []}, [])
    assert desk.limits("tts")["snr_review_db"] > desk.limits("svc")["snr_review_db"]
    with pytest.raises(BadInput, match="colour"):
        desk.check(VOICE, "svc", {}, {"colour": "red"})
    desk.check(VOICE, "svc", {}, {"text_language": "en", "asr": "auto"})
    with pytest.raises(Conflict):
        desk.check(VOICE, "svc", {}, {})


def test_cleaning_is_heard_and_taken_back(studio: Studio, desk: DatasetDesk) -> None:
    assert desk.cleaned(VOICE, NAME) is None
    job = desk.clean(VOICE, {"steps": ["highpass", "loudness"]}, [NAME])
    studio.run_foreground("clean", job.params)
    found = desk.cleaned(VOICE, NAME)
    assert found is not None
    record, files = found
    assert [step for step, _ in files] == ["highpass", "loudness"]
    assert all(path.is_file() for _, path in files)
    assert record.active == 2
    assert desk.undo_cleaning(VOICE, NAME).active == 1
    assert desk.redo_cleaning(VOICE, NAME).active == 2
    with pytest.raises(Conflict):
        desk.redo_cleaning(VOICE, NAME)
