"""`prep` on the command line: recordings in, clips out, and what is refused before a voice is made for nothing."""

import json
from pathlib import Path

import numpy as np
import pytest

from core.audio.encode import write_audio
from tests.cli.conftest import Command

QUICK = ["--rate-hz", "16000", "--slicer", "none", "--min-clip-s", "0.5"]


@pytest.fixture
def take(tmp_path: Path) -> Path:
    """Two seconds of a tone under a name that a shell would stumble over."""
    t = np.arange(32000) / 16000
    return write_audio(tmp_path / "in" / 'it\'s "声" $(x).wav', 0.2 * np.sin(2 * np.pi * 220 * t), 16000)


@pytest.mark.parametrize("name", ["Ann", "声 'x'"])
def test_a_recording_becomes_clips(name: str, take: Path, command: Command) -> None:
    out, err = command("prep", name, str(take), *QUICK)
    assert "Imported 1 recordings." in err
    assert out.startswith(f"{name}: 1 clips")
    again, err = command("prep", name, str(take), *QUICK)
    assert "skipped" in err, "the same recording is not imported twice"
    assert again.startswith(f"{name}: 1 clips")


def test_without_files_what_was_imported_is_prepared(take: Path, command: Command) -> None:
    command("prep", "Ann", str(take), *QUICK)
    out, err = command("prep", "Ann", *QUICK)
    assert "Imported" not in err
    assert out.startswith("Ann: 1 clips")


def test_a_program_gets_one_line(take: Path, command: Command) -> None:
    told = json.loads(command("prep", "Ann", str(take.parent), *QUICK, "--json")[0])
    assert (told["ok"], told["clips"]) == (True, 1)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["Ann", "no.wav"], "Not there: no.wav"),
        (["Ann"], "Ann"),
        (["Ann", "{take}", "--set", "colour=red"], "colour"),
        (["Ann", "{take}", "--set", "colour"], "NAME=VALUE"),
        (["Ann", "{take}", "--rate-hz", "1"], "rate_hz"),
        (["Ann", "{take}", "--min-clip-s", "99"], "min_clip_s"),
    ],
)
def test_wrong_orders_are_named(words: list[str], said: str, take: Path, command: Command) -> None:
    assert said in command("prep", *(word.replace("{take}", str(take)) for word in words), code=1)[1]


def test_files_that_are_not_there_make_no_voice(command: Command) -> None:
    command("prep", "Ann", "no.wav", code=1)
    assert "No voices yet" in command("voices")[0]
