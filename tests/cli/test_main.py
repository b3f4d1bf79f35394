"""The command line in this process: parsing, defaults, exit codes, the one JSON line."""

import json
from pathlib import Path

import pytest

from cli import main as cli_main
from cli.common import CANCELLED, Stopped, parse_set
from cli.convert import target, transpose
from cli.main import COMMANDS, build_parser, main, with_default
from cli.output import Output, duration, table
from core.errors import BadInput, Cancelled, NotFound, StudioError


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main([command, "--help"])
    assert end.value.code == 0
    assert command in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "full"),
    [
        ([], ["serve"]),
        (["--no-browser"], ["serve", "--no-browser"]),
        (["--help"], ["--help"]),
        (["--version"], ["--version"]),
        (["prep", "a"], ["prep", "a"]),
    ],
)
def test_no_command_means_serve(words: list[str], full: list[str]) -> None:
    assert with_default(words) == full


@pytest.mark.parametrize("words", [["nonsense"], ["train", "v", "--steps", "many"], ["convert", "v"], ["demo"]])
def test_wrong_command_lines_end_with_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert "usage:" in said.err


class Fake:
    """Stands in for a command module: what `run` hands to a caller is under test, not a command."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error

    def run(self, options: object, out: Output) -> dict[str, object]:
        if self.error:
            raise self.error
        out.line("a line for people")
        return {"value": 1, "path": Path("x y.wav")}


@pytest.mark.parametrize(
    ("error", "code", "kind"),
    [
        (None, 0, None),
        (NotFound("No voice 'a'.", "Make it."), 1, "not_found"),
        (RuntimeError("inner detail"), 1, "error"),
        (KeyboardInterrupt(), 130, "cancelled"),
        (Cancelled(), 130, "cancelled"),
        (Stopped({"run": "r", "step": 7}), 130, "cancelled"),
    ],
)
def test_exit_codes_and_json(
    error: BaseException | None, code: int, kind: str | None,
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    options = build_parser().parse_args(["doctor", "--json"])
    monkeypatch.setattr(cli_main.importlib, "import_module", lambda _name: Fake(error))
    kept = Output(json_mode=False)
    kept.json_mode = True  # the real one moves file descriptor 1, which a subprocess test shows
    assert cli_main.run(options, kept) == code
    said = capfd.readouterr()
    lines = said.out.splitlines()
    assert len(lines) == 1
    data = json.loads(lines[0])
    assert data["ok"] is (code == 0)
    if kind is None:
        assert data["path"] == "x y.wav"
    else:
        assert data["error"]["code"] == kind
        assert "Traceback" not in said.err
    if isinstance(error, Stopped):
        assert data["result"] == {"run": "r", "step": 7}


def test_people_get_message_and_hint(capsys: pytest.CaptureFixture[str]) -> None:
    Output(json_mode=False).fail(StudioError("It broke.", "Mend it."))
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == "It broke.\nMend it.\n"


def test_progress_off_a_terminal_is_sparse(capsys: pytest.CaptureFixture[str]) -> None:
    out = Output(json_mode=False)
    for step in range(1000):
        out.progress(step / 1000, f"training step {step}")
    out.progress(1.0, "training done")
    lines = capsys.readouterr().err.splitlines()
    assert 2 <= len(lines) <= 20
    assert lines[-1].endswith("100% training done")


@pytest.mark.parametrize(
    ("pairs", "values"),
    [
        (["a=1", "b=x y", "c=1.5", "d=true"], {"a": 1, "b": "x y", "c": 1.5, "d": True}),
        (["e=[1, 2]", "f="], {"e": [1, 2], "f": ""}),
        (["name=a=b"], {"name": "a=b"}),
        ([], {}),
    ],
)  # fmt: skip
def test_set_reads_values(pairs: list[str], values: dict[str, object]) -> None:
    assert parse_set(pairs) == values


@pytest.mark.parametrize("pair", ["novalue", "=1", " =1"])
def test_set_refuses_what_is_no_pair(pair: str) -> None:
    with pytest.raises(BadInput, match="NAME=VALUE"):
        parse_set([pair])


def test_transpose_is_a_number_or_auto() -> None:
    assert transpose("auto") == "auto"
    assert transpose("-3.5") == -3.5
    with pytest.raises(Exception, match="neither"):
        transpose("up")


def test_where_results_go(tmp_path: Path) -> None:
    source = Path("in/song.mp3")
    assert target(None, source, 1, "wav") is None
    assert target(tmp_path, source, 1, "wav") == tmp_path / "song.wav"
    assert target(tmp_path / "new.flac", source, 1, "flac") == tmp_path / "new.flac"
    assert target(tmp_path / "new folder", source, 2, "mp3") == tmp_path / "new folder" / "song.mp3"


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (75.4, "1:15"), (3600, "1:00:00"), (-3, "0:00")])
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_tables_line_up_with_chinese() -> None:
    lines = table([["小明", "1"], ["a", "22"]], ["voice", "n"])
    assert lines == ["voice  n", "小明   1", "a      22"]


def test_cancelled_is_one_sentence() -> None:
    assert CANCELLED.code == "cancelled"
