"""`convert` on the command line: what is refused before any work, in words."""

import json
from pathlib import Path

import pytest

from cli.convert import target
from tests.cli.conftest import Command


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ([], 2, "at least one file"),
        (["Ann"], 2, "at least one file"),
        (["Ann", "a.wav", "--transpose", "up"], 2, "neither a number"),
        (["Ann", "a.wav", "--format", "ogg"], 2, "invalid choice"),
        (["nobody", "a.wav"], 1, "nobody"),
        (["Ann", "a.wav"], 1, "a.wav"),
        (["Ann", "a.wav", "b.wav", "--out", "{file}"], 1, "is a file"),
        (["Ann", "--from-sidecar", "{file}"], 1, "takes voice and file from the sidecar"),
        (["--from-sidecar", "{file}"], 1, "sidecar"),
        (["--from-sidecar", "no.json"], 1, "no.json"),
    ],
)
def test_wrong_orders_are_named(words: list[str], code: int, said: str, command: Command, tmp_path: Path) -> None:
    command("voices", "--create", "Ann")
    file = tmp_path / "sidecar.json"
    file.write_text("[]")
    err = command("convert", *(word.replace("{file}", str(file)) for word in words), code=code)[1]
    assert said in err
    assert "Traceback" not in err
    assert "unexpectedly" not in err


def test_a_program_gets_the_error_in_its_own_form(command: Command) -> None:
    told = json.loads(command("convert", "nobody", "a.wav", "--json", code=1)[0])
    assert told["ok"] is False
    assert told["error"]["code"] == "not_found"


@pytest.mark.parametrize(
    ("out", "n_files", "suffix", "place"),
    [
        (None, 1, "wav", None),
        ("r.flac", 1, "flac", "r.flac"),
        ("folder", 1, "wav", "folder/song.wav"),
        ("folder.d", 2, "mp3", "folder.d/song.mp3"),
        ("{there}", 1, "wav", "{there}/song.wav"),
    ],
)
def test_where_a_result_goes(out: str | None, n_files: int, suffix: str, place: str | None, tmp_path: Path) -> None:
    there = tmp_path / "v1.2"
    there.mkdir()

    def path(text: str | None) -> Path | None:
        return None if text is None else Path(text.replace("{there}", str(there)))

    assert target(path(out), Path("in/song.opus"), n_files, suffix) == path(place)
