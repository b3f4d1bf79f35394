"""`slice` on the command line: one JSON line, the files, and errors that say what to do."""

import json
from pathlib import Path

import pytest

from benchmarks.slicing import write_srt
from cli.main import main


@pytest.fixture
def subs(tmp_path: Path) -> Path:
    return write_srt(tmp_path / "s.srt", [(0.2, 4.5), (5.0, 9.5)])


def test_json_and_files(speech: Path, subs: Path, workspace: Path, capfd: pytest.CaptureFixture[str]) -> None:
    out = workspace / "dataset"
    words = ["slice", str(speech), str(subs), "--out", str(out), "--sample-rate", "16000", "--silence-ms", "100"]
    words += ["--buffer-ms", "120", "--vad-threshold", "0.4", "--language", "en", "--speaker", "Ann"]
    assert main([*words, "--workspace", str(workspace), "--json"]) == 0
    lines = capfd.readouterr().out.splitlines()
    assert len(lines) == 1
    result = json.loads(lines[0])
    assert result["ok"] is True
    assert result["clips"] == 2
    report = json.loads((out / "report.json").read_text("utf-8"))
    assert report["options"]["buffer_ms"] == 120
    assert {"index", "cue_start_s", "cue_end_s", "start_s", "end_s", "source", "warnings"} <= set(report["cues"][0])
    assert (out / "0001.wav").is_file()
    assert main([*words, "--workspace", str(workspace)]) == 1
    assert "--append" in capfd.readouterr().err
    assert main([*words, "--workspace", str(workspace), "--append"]) == 0
    assert "2 clips" in capfd.readouterr().out
    assert (out / "0004.wav").is_file()


def test_where_the_clips_go_must_be_said(speech: Path, subs: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["slice", str(speech), str(subs)]) == 2
    assert main(["slice", str(speech), str(subs), "--out", "x", "--voice", "y"]) == 2
    assert "--out" in capfd.readouterr().err


def test_no_such_voice_or_file(speech: Path, subs: Path, workspace: Path, capfd: pytest.CaptureFixture[str]) -> None:
    place = ["--workspace", str(workspace)]
    assert main(["slice", str(speech), str(subs), "--voice", "nobody", *place]) == 1
    assert main(["slice", str(workspace / "no.wav"), str(subs), "--out", str(workspace / "o"), *place]) == 1
    assert "no.wav" in capfd.readouterr().err


def test_a_glossary_mends_what_is_merged(
    speech: Path, subs: Path, workspace: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    terms = workspace / "terms.txt"
    terms.write_text("Sentence 1 = Phrase 1\n", "utf-8")
    words = ["slice", str(speech), str(subs), "--out", str(workspace / "o"), "--glossary", str(terms)]
    words += ["--workspace", str(workspace), "--sample-rate", "16000"]
    assert main(words) == 2
    assert "--merge" in capfd.readouterr().err
    assert main([*words, "--merge"]) == 0, capfd.readouterr().err
    assert "Phrase 1." in (workspace / "o" / "train.jsonl").read_text("utf-8")


@pytest.mark.parametrize("language", ["zh", "ja", "ko", "yue"])
def test_the_language_is_the_recordings_not_the_pages(
    language: str, speech: Path, subs: Path, workspace: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    out = workspace / "dataset"
    words = ["slice", str(speech), str(subs), "--out", str(out), "--sample-rate", "16000", "--language", language]
    assert main([*words, "--workspace", str(workspace)]) == 0, capfd.readouterr().err
    assert json.loads((out / "train.jsonl").read_text("utf-8").splitlines()[0])["language"] == language


def test_why_a_cue_was_not_cut_is_on_the_screen(
    speech: Path, workspace: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    subs = write_srt(workspace / "s.srt", [(0.2, 4.5), (7200.0, 7202.0)])
    words = ["slice", str(speech), str(subs), "--out", str(workspace / "o"), "--sample-rate", "16000"]
    assert main([*words, "--workspace", str(workspace)]) == 0
    said = capfd.readouterr()
    assert "1 of 2 cues not cut" in said.out
    assert "Cue 2: It begins at 7200.000 s, after the end" in said.err
