"""What a command says and where: results on stdout, remarks on stderr, one JSON line for programs."""

import io
import json
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cli.output import Output, duration, table
from core.errors import NotFound, StudioError


class Terminal(io.StringIO):
    """A stderr that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def json_output(stream: io.StringIO) -> Output:
    out = Output(json_mode=False)
    out.json_mode, out._stdout = True, stream  # the real one moves file descriptor 1
    return out


def test_results_and_remarks_go_their_ways(capsys: pytest.CaptureFixture[str]) -> None:
    out = Output(json_mode=False)
    out.line("result")
    out.note("remark")
    out.finish({"a": 1})
    said = capsys.readouterr()
    assert (said.out, said.err) == ("result\n", "remark\n")


def test_json_is_one_line_whatever_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    stream = io.StringIO()
    out = json_output(stream)
    out.line("for people")
    out.finish({"path": Path("a b.wav"), "n": np.float32(0.5), "text": "多\nline"})
    assert capsys.readouterr().out == ""
    (line,) = stream.getvalue().splitlines()
    assert json.loads(line) == {"ok": True, "path": "a b.wav", "n": 0.5, "text": "多\nline"}


def test_a_failure_in_json_keeps_what_was_made() -> None:
    stream = io.StringIO()
    json_output(stream).fail(NotFound("No voice.", "Make one.", where="ann"), {"step": 7})
    told = json.loads(stream.getvalue())
    assert told["ok"] is False
    assert told["error"]["code"] == "not_found"
    assert told["error"]["hint"] == "Make one."
    assert told["result"] == {"step": 7}
    bare = io.StringIO()
    json_output(bare).fail(StudioError("No."))
    assert "result" not in json.loads(bare.getvalue())


def test_a_pipe_that_is_not_utf_8_gets_the_same_in_ascii() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    json_output(stream).finish({"voice": "小明"})  # type: ignore[arg-type]
    stream.flush()
    assert json.loads(raw.getvalue()) == {"ok": True, "voice": "小明"}


def test_what_is_no_json_is_a_fault_and_not_half_a_line() -> None:
    stream = io.StringIO()
    with pytest.raises(TypeError, match="object is not JSON"):
        json_output(stream).finish({"a": object()})
    assert stream.getvalue() == ""


def test_a_terminal_shows_a_bar_that_makes_room_for_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Terminal()
    monkeypatch.setattr("sys.stderr", screen)
    out = Output(json_mode=False)
    out.progress(0.5, "a long message here")
    out.progress(0.6, "short")
    drawn = screen.getvalue().split("\r")[1:]
    assert "#" * 12 + "." * 12 in drawn[0]
    assert " 50%" in drawn[0]
    assert len(drawn[1]) >= len(drawn[0]), "no rest of the longer bar stays"
    out.note("remark")
    assert screen.getvalue().endswith("\rremark\n")


@given(st.floats(allow_nan=False), st.text(alphabet=st.characters(blacklist_categories=("Cs",)), max_size=200))
@settings(max_examples=40)
def test_progress_is_never_beyond_its_ends(fraction: float, message: str) -> None:
    screen = Terminal()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stderr", screen)
        Output(json_mode=False).progress(fraction, message)
    shown = screen.getvalue()[1:]
    assert len(shown) <= 110
    assert 0 <= int(shown.split("]")[1].split("%")[0]) <= 100


@given(st.integers(0, 10_000_000))
def test_durations_can_be_read_back(seconds: int) -> None:
    parts = [int(part) for part in duration(seconds).split(":")]
    assert sum(part * 60**power for power, part in enumerate(reversed(parts))) == seconds
    assert all(part < 60 for part in parts[1:])


cells = st.text(alphabet="ab 小明ｗ1", max_size=8)


@given(st.lists(st.tuples(cells, cells, cells), max_size=6))
@settings(max_examples=40)
def test_columns_begin_at_the_same_place(rows: list[tuple[str, str, str]]) -> None:
    def width(text: str) -> int:
        return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)

    marked = [[f"|{cell}" for cell in row] for row in rows]
    lines = table(marked, ["|x", "|y", "|z"])
    assert len(lines) == len(rows) + 1
    places = {tuple(width(line[:at]) for at, char in enumerate(line) if char == "|") for line in lines}
    assert len(places) == 1
