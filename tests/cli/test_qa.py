"""`qa` from the command line: voices and folders, thresholds, the report, one JSON line."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from cli.main import main
from core.audio.encode import write_audio
from core.dataset.clips import ClipTable
from core.dataset.voices import VoiceStore
from tests.dataset.kit import Bench


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two tones and a silence: quick to measure, easy to judge."""
    t = np.arange(24000) / 16000
    for hz in (220, 330):
        voice = sum(0.2 / k * np.sin(2 * np.pi * hz * k * t) for k in range(1, 6)) * (0.6 + 0.4 * np.sin(9 * t))
        write_audio(tmp_path / "set" / f"{hz}.wav", voice, 16000)
    write_audio(tmp_path / "set" / "silent.wav", np.zeros(24000), 16000)
    return tmp_path / "set"


def test_a_folder(folder: Path, workspace: Path, capfd: pytest.CaptureFixture[str]) -> None:
    report = workspace / "report.html"
    code = main(["qa", str(folder), "--workspace", str(workspace), "--report", str(report)])
    said = capfd.readouterr().out
    assert code == 0
    assert "set: 3 clips" in said
    assert "Nothing can be heard (reject, 1 clips)" in said
    assert report.read_text("utf-8").startswith("<!doctype html>")


def test_one_json_line_and_changed_thresholds(folder: Path, workspace: Path) -> None:
    limits = ["--set", "snr_review_db=79", "--set", "snr_reject_db=78"]
    command = [sys.executable, "app.py", "qa", str(folder), *limits, "--workspace", str(workspace), "--json"]
    ran = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[2], check=True)
    answer = json.loads(ran.stdout)
    assert answer["thresholds"]["snr_review_db"] == 79
    assert answer["rejected"] == 3


def test_what_is_not_there_and_what_is_no_verdict(
    folder: Path, workspace: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["qa", "nobody", "--workspace", str(workspace)]) == 1
    assert "no voice and no folder" in capfd.readouterr().err
    assert main(["qa", str(folder), "--set", "snr=3", "--workspace", str(workspace)]) == 1
    assert "snr: Extra" in capfd.readouterr().err
    assert main(["qa", str(folder), "--apply", "--workspace", str(workspace)]) == 1
    assert "not for a folder" in capfd.readouterr().err


def test_apply_writes_the_verdicts_of_a_voice(folder: Path, workspace: Path, capfd: pytest.CaptureFixture[str]) -> None:
    bench = Bench(workspace, "ann")
    (bench.voice.raw / "a.wav").write_bytes((folder / "220.wav").read_bytes())
    bench.prepare(slicer="none")
    assert (
        main(
            [
                "qa",
                "ann",
                "--apply",
                "--set",
                "bandwidth_hz=20000",
                "--set",
                "min_duration_s=9",
                "--workspace",
                str(workspace),
            ]
        )
        == 0
    )
    assert "verdicts changed" in capfd.readouterr().out
    voice = VoiceStore(bench.settings.voices_dir).get("ann")
    assert {clip.verdict for clip in ClipTable(voice).load()} == {"review"}
    assert list((voice.path / "reports").glob("quality_*.html"))


def test_a_wrong_embedder_rejects_no_clip(folder: Path, workspace: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["qa", str(folder), "--set", "speaker=nobody", "--workspace", str(workspace)]) == 1
    assert "no speaker embedder 'nobody'" in capfd.readouterr().err


def test_what_was_not_measured_is_said(folder: Path, workspace: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["qa", str(folder), "--set", "asr=auto", "--workspace", str(workspace)]) == 0
    assert "not measured: text_differs (" in capfd.readouterr().err


def test_nothing_to_judge_and_no_place_for_the_report(
    folder: Path, workspace: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (workspace / "empty").mkdir()
    assert main(["qa", str(workspace / "empty"), "--workspace", str(workspace)]) == 1
    assert "There is no audio" in capfd.readouterr().err
    report = folder / "220.wav" / "report.html"
    assert main(["qa", str(folder), "--report", str(report), "--workspace", str(workspace)]) == 1
    assert "is no folder" in capfd.readouterr().err
