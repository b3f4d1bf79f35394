"""`transcribe` on the command line: what it needs, what it prints."""

import json
from pathlib import Path

import pytest

from cli.main import main
from core.subtitles.parse import read
from tests.transcribe import tiny_parakeet


def test_without_a_model_it_says_how_to_get_one(
    speech_man: Path, workspace: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIMBRE_PRETRAIN_DIR", str(workspace / "none"))
    words = ["transcribe", str(speech_man), "--out", str(workspace / "o.srt"), "--workspace", str(workspace)]
    assert main(words) == 1
    said = capsys.readouterr().err
    assert "not on this machine" in said
    assert "by hand" in said
    assert "Traceback" not in said


def test_a_recording_becomes_subtitles(
    speech_man: Path, workspace: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("onnx_asr", reason="onnx-asr (optional) is not installed")
    model, out = tiny_parakeet.write(workspace / "tiny"), workspace / "o.srt"
    words = ["transcribe", str(speech_man), "--out", str(out), "--workspace", str(workspace), "--engine", "parakeet"]
    assert main([*words, "--model", str(model), "--threads", "1", "--device", "cpu"]) == 0
    said = capfd.readouterr()
    cues = read(out).cues
    assert said.out.startswith(f"{len(cues)} cues")
    assert {cue.text for cue in cues} == {tiny_parakeet.SAYS}
    assert json.loads(out.with_suffix(".words.jsonl").read_text().splitlines()[0])["text"] == " Hello"


@pytest.mark.parametrize("words", [["a.wav"], ["a.wav", "--out", "b", "--engine", "siri"], ["--out", "b"]])
def test_wrong_command_lines(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["transcribe", *words]) == 2
    assert "usage:" in capsys.readouterr().err


def test_a_missing_recording_is_named(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    where = ["--out", str(workspace / "o.srt"), "--workspace", str(workspace)]
    assert main(["transcribe", str(workspace / "no.wav"), *where]) == 1
    assert "no.wav" in capsys.readouterr().err


def test_any_language_may_be_named(
    speech_man: Path, workspace: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIMBRE_PRETRAIN_DIR", str(workspace / "none"))
    words = ["transcribe", str(speech_man), "--out", str(workspace / "o.srt"), "--language", "de"]
    assert main([*words, "--workspace", str(workspace)]) == 1
    assert "not on this machine" in capsys.readouterr().err, "the model is missing, not the language wrong"


def test_the_recording_is_never_written_over(
    speech_man: Path, workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    audio = workspace / "take.wav"
    audio.write_bytes(speech_man.read_bytes())
    assert main(["transcribe", str(audio), "--out", str(audio), "--workspace", str(workspace)]) == 1
    assert "would be lost" in capsys.readouterr().err
    assert audio.read_bytes() == speech_man.read_bytes()
