"""What a job's state and words become in the documented status."""

import dataclasses
import time
from pathlib import Path

import pytest

from core.dataset.voices import VoiceStore
from core.jobs.model import Job
from core.service import status
from core.service.character import Character
from core.service.models import CharacterConfig

NOW = time.time()
JOB = Job(1, status.AUDIO_JOB, {}, "bob", "running", 0.0, "", None, None, None, NOW, NOW, None, 1, 1.0, "cpu",
          "/srv/studio/logs/jobs/job_1.log")  # fmt: skip
NOBODY = Character("", CharacterConfig(), 0.0, 0.0)


@pytest.mark.parametrize(
    ("kind", "said", "step"),
    [
        (status.AUDIO_JOB, "", "convert_audio"),
        (status.AUDIO_JOB, "denoise_audio: 1 of 2", "denoise_audio"),
        (status.AUDIO_JOB, "asr_transcribe", "asr_transcribe"),
        ("prep", "", "slice_audio"),
        ("prep", "Slicing a.wav", "slice_audio"),
    ],
)
def test_the_step_is_one_of_the_document(tmp_path: Path, kind: str, said: str, step: str) -> None:
    voice = VoiceStore(tmp_path / "voices").create("bob")
    info = status.audio_info(voice, NOBODY, [dataclasses.replace(JOB, kind=kind, message=said)])
    assert (info.status, info.current_step) == ("running", step)


@pytest.mark.parametrize(
    ("said", "step"),
    [("", "extract_audio_features"), ("features: 3 of 9", "extract_audio_features"), ("step 4/9", "train_sovits")],
)
def test_training_begins_with_features(tmp_path: Path, said: str, step: str) -> None:
    voice = VoiceStore(tmp_path / "voices").create("bob")
    jobs = [dataclasses.replace(JOB, kind="train", message=said)]
    audio = status.audio_info(voice, NOBODY, [])
    assert status.training_info(voice, NOBODY, jobs, tmp_path / "logs", audio).current_step == step


def test_a_failure_does_not_tell_where_the_server_keeps_its_logs(tmp_path: Path) -> None:
    voice = VoiceStore(tmp_path / "voices").create("bob")
    error = {"message": "It broke.", "hint": f"The details are in {JOB.log}."}
    info = status.audio_info(voice, NOBODY, [dataclasses.replace(JOB, state="failed", error=error)])
    assert (info.status, info.error_message) == ("failed", "It broke. The details are in job_1.log.")
