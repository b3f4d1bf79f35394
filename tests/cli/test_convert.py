"""`convert` on the command line: what is refused before any work, in words."""

import json
from pathlib import Path

import pytest

from cli.convert import target
from core.dataset.voices import VoiceStore
from tests.cli.conftest import Command
from tests.training.material import export_random, register_encoder, sung_vowel, write_clip


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


# ---- with a real voice


@pytest.fixture
def singer(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace whose voice Ann has a tiny model; returns a folder of two songs and a broken one."""
    register_encoder(monkeypatch)
    export_random(VoiceStore(workspace / "voices").create("Ann"))
    folder = workspace / "songs"
    for name in ("a.wav", "b.wav"):
        write_clip(folder / name, sung_vowel(0.4))
    return folder


def test_options_by_their_flags(singer: Path, command: Command, tmp_path: Path) -> None:
    out = tmp_path / "made.flac"
    words = ["Ann", str(singer / "a.wav"), "--pitch", "dio", "--k-step", "7", "--slice-db", "-50", "--transpose", "3"]
    command("convert", *words, "--out", str(out), "--crossfade-keep", "0.5")
    options = json.loads((tmp_path / "made.flac.json").read_text("utf-8"))["options"]
    assert (options["k_step"], options["slice_db"], options["transpose"]) == (7, -50, 3)
    assert (options["crossfade_keep"], options["format"]) == (0.5, "flac")
    assert "melody of its own" in command("convert", *words, "--predict-f0", code=1)[1]
    assert "diffusion model" in command("convert", *words, "--diffusion", "shallow", code=1)[1]


def test_a_folder_and_what_fails_in_it(singer: Path, command: Command, tmp_path: Path) -> None:
    told = command("convert", "Ann", "--folder", str(singer), "--pitch", "dio", "--out", str(tmp_path / "o"), "--json")
    result = json.loads(told[0])
    assert [Path(row["output"]).name for row in result["outputs"]] == ["a_Ann.wav", "b_Ann.wav"]
    (singer / "c.wav").write_text("no audio")
    told = command("convert", "Ann", "--folder", str(singer), "--pitch", "dio", "--out", str(tmp_path / "p"), code=1)
    assert "1 of 3" in told[1]
    assert "c.wav" in told[0]
    assert len(list((tmp_path / "p").glob("*.wav"))) == 2


def test_presets_on_the_command_line(singer: Path, command: Command, tmp_path: Path) -> None:
    command("convert", "--save-preset", "soft", "--noise-scale", "0.1", "--pitch", "dio")
    assert "soft: noise_scale=0.1, pitch=dio" in command("convert", "--list-presets")[0]
    out = tmp_path / "x.wav"
    command("convert", "Ann", str(singer / "a.wav"), "--preset", "soft", "--out", str(out), "--noise-scale", "0.2")
    options = json.loads((tmp_path / "x.wav.json").read_text("utf-8"))["options"]
    assert (options["pitch"], options["noise_scale"]) == ("dio", 0.2)
    assert "no preset 'loud'" in command("convert", "Ann", str(singer / "a.wav"), "--preset", "loud", code=1)[1]
