"""`say --engine builtin --voice V`: a text in a trained voice, and what does not go with it."""

import json
from pathlib import Path

import pytest

from core.dataset.voices import VoiceStore
from core.settings import load_settings
from tests.cli.conftest import Command
from tests.training.material import export_random, register_encoder


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["Hi.", "--engine", "piper"], "needs --voice"),
        (["Hi.", "--engine", "builtin", "--volume", "3"], "--volume"),
        (["Hi.", "--engine", "builtin", "--language", "xx"], "no known language"),
        (["Hi.", "--engine", "builtin", "--voice", "a", "--stream"], "takes no --stream"),
        (["Hi.", "--engine", "builtin", "--voice", "nobody"], "nobody"),
        (["Hi.", "--engine", "piper", "--voice", "a"], ".onnx"),
        (["Hi.", "--engine", "builtin", "--voice", "a", "--rate", "9"], "rate"),
    ],
)
def test_wrong_orders_are_named(words: list[str], said: str, command: Command, tmp_path: Path) -> None:
    err = command("say", *words, "--out", str(tmp_path / "x.wav"), code=1)[1]
    assert said in err
    assert "Traceback" not in err


def test_a_file_of_text_in_a_trained_voice(
    command: Command, workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    register_encoder(monkeypatch)
    export_random(VoiceStore(load_settings({"workspace": workspace}, env={}).voices_dir).create("歌手"))
    text = tmp_path / "text.txt"
    text.write_text("Guten Abend, das ist ein Satz und nicht mehr.", encoding="utf-8")
    words = ("--engine", "builtin", "--voice", "歌手", "--file", str(text), "--set", "pitch=dio", "--seed", "3")
    told = json.loads(command("say", *words, "--out", str(tmp_path / "x.flac"), "--json")[0])
    assert (told["engine"], told["language"]) == ("builtin", "de")
    assert Path(told["output"]).stat().st_size > 1000
    assert json.loads(Path(told["sidecar"]).read_text(encoding="utf-8"))["options"]["seed"] == 3


def test_without_a_voice_or_a_model_the_built_in_engine_speaks(command: Command, tmp_path: Path) -> None:
    cues = tmp_path / "a.srt"
    cues.write_text("1\n00:00:01,000 --> 00:00:02,500\nGood evening.\n", encoding="utf-8")
    words = ("--engine", "builtin", "--srt", str(cues), "--speaker", "man", "--rate", "1.2", "--language", "en")
    told = json.loads(command("say", *words, "--out", str(tmp_path / "x.wav"), "--json")[0])
    assert (told["ok"], told["engine"], told["warnings"]) == (True, "builtin", [])
    assert 1.3 < told["seconds"] < 3.0
