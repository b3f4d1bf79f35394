"""`clean-subs` on the command line, in a process of its own and in this one."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from cli.main import main
from core.subtitles.parse import read

SUBS = "1\n00:00:00,100 --> 00:00:02,001\nhello their\n\n2\n00:00:02,100 --> 00:00:07,003\nhow are you today.\n"


@pytest.fixture
def subs(tmp_path: Path) -> Path:
    path = tmp_path / "a b.srt"
    path.write_text(SUBS)
    return path


def test_one_json_line(subs: Path, workspace: Path, repo_root: Path) -> None:
    out = subs.with_name("clean.srt")
    command = [sys.executable, str(repo_root / "app.py"), "clean-subs", str(subs), "--out", str(out), "--json"]
    ran = subprocess.run([*command, "--workspace", str(workspace)], capture_output=True, text=True, check=True)
    (line,) = ran.stdout.splitlines()
    result = json.loads(line)
    assert (result["ok"], result["cues_in"], result["cues"]) == (True, 2, 1)
    (cue,) = read(out).cues
    assert (cue.start_ms, cue.end_ms, cue.text) == (100, 7003, "Hello their how are you today.")


def test_a_glossary(subs: Path, workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, terms = subs.with_name("o.srt"), subs.with_name("terms.txt")
    terms.write_text("# names\nhello their = hello there\nTodai\n")
    words = ["clean-subs", str(subs), "--out", str(out), "--glossary", str(terms), "--workspace", str(workspace)]
    assert main(words) == 0
    assert "“hello their” is now “hello there”" in capsys.readouterr().err
    assert read(out).cues[0].text == "Hello there how are you Todai."
    assert main([*words, "--way", "prompt"]) == 0
    assert "Todai" in out.read_text()


def test_ways_and_where_their_words_may_stand(subs: Path, workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, answer = subs.with_name("o.srt"), subs.with_name("answer.txt")
    rest = ["--out", str(out), "--workspace", str(workspace)]
    assert main(["clean-subs", "--way", "prompt", str(subs), *rest]) == 0
    assert "hello their" in out.read_text()
    assert "--way answer FILE" in capsys.readouterr().out
    answer.write_text("1\n00:00:00,100 --> 00:00:07,000\nHello there, how are you today?\n")
    assert main(["clean-subs", str(subs), "--way", "answer", str(answer), *rest]) == 0
    said = capsys.readouterr()
    assert "Hello there, how are you today?" in said.err
    assert "original: hello their / how are you today." in said.err
    assert "00:00:07,003" in said.err
    assert [cue.end_ms for cue in read(out).cues] == [7003]
    assert main(["clean-subs", "--way", "answer", str(answer), str(subs), *rest, "--set", "limit_s=5"]) == 1
    assert "limit_s" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        ["--way", "magic"],
        ["--way", "answer"],
        ["--way", "rules", "one", "two"],
        ["--out"],
        ["x.srt", "--way", "rules", "more"],
    ],
)
def test_wrong_command_lines(words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    more = [] if "--out" in words else ["--out", str(tmp_path / "o.srt")]
    assert main(["clean-subs", *words, *more]) == 2
    assert "usage:" in capsys.readouterr().err


def test_a_missing_file_is_named(workspace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    where = ["--out", str(tmp_path / "o.srt"), "--workspace", str(workspace)]
    assert main(["clean-subs", str(tmp_path / "no.srt"), *where]) == 1
    assert "There is no file" in capsys.readouterr().err


@pytest.mark.parametrize("out", ["s.srt", ".", "file/c.srt"])
def test_the_source_and_what_is_no_place_are_not_written(
    out: str, workspace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("mine")
    subs = tmp_path / "s.srt"
    subs.write_text("1\n00:00:00,812 --> 00:00:03,795\nOne,\n\n2\n00:00:04,000 --> 00:00:05,000\ntwo.\n")
    before = subs.read_bytes()
    assert main(["clean-subs", str(subs), "--out", str(tmp_path / out), "--workspace", str(workspace)]) == 1
    assert "cannot be written" in capsys.readouterr().err
    assert subs.read_bytes() == before
