"""`models`: weights that are known, where they come from, and models of voices."""

import json
from pathlib import Path

from core.models import catalogue
from tests.cli.conftest import Command
from tests.engines.sovits.test_anatomy import config
from tests.engines.sovits.upstream_folder import write_config, write_generator


def test_no_model_of_a_voice_yet(command: Command) -> None:
    command("voices", "--create", "Ann")
    for words in (("models",), ("models", "--voice", "Ann")):
        assert "app.py train VOICE" in command(*words)[0]


def test_the_models_that_are_known_say_where_they_come_from(command: Command) -> None:
    out, _ = command("models")
    for entry in ("contentvec", "whisper-small"):
        assert f"{entry}" in out
    assert out.count("by hand:") >= 2
    assert "nobody" in command("models", "--voice", "nobody", code=1)[1]


def test_a_program_gets_every_entry_with_its_state(command: Command) -> None:
    told = json.loads(command("models", "--json")[0])
    assert told["trained"] == []
    assert [entry["name"] for entry in told["pretrained"]] == [entry.name for entry in catalogue.CATALOGUE]
    assert {entry["state"] for entry in told["pretrained"]} <= {"present", "partial", "absent"}


def test_of_one_voice_only_its_own_models_are_told(command: Command) -> None:
    command("voices", "--create", "Ann")
    assert json.loads(command("models", "--voice", "Ann", "--json")[0]) == {"ok": True, "trained": []}


def test_import_then_info_compress_and_delete(command: Command, tmp_path: Path) -> None:
    """A tiny so-vits-svc model through every action, as a person types them."""
    made = config(speech_encoder="vec256l9")
    write_generator(tmp_path / "小雨" / "G_7.pth", made)
    write_config(tmp_path / "小雨" / "config.json", made)
    looked, _ = command("models", "import", str(tmp_path / "小雨"), "--look")
    assert "G_7.pth: voice model of so-vits-svc" in looked
    assert "not imported" in looked
    told, _ = command("models", "import", str(tmp_path / "小雨"))
    assert "Voice 小雨, model G_7" in told
    assert "checkpoint_best_legacy_500.pt" in told
    assert "kind: generator" in command("models", "info", str(tmp_path / "小雨" / "G_7.pth"))[0]
    command("models", "compress", "小雨", "G_7", "--half")
    command("models", "mix", "小雨", "G_7=50", "小雨/G_7=50", "--name", "m")
    command("models", "rename", "小雨", "m", "mixed")
    command("models", "behave", "小雨", "mixed", "4.1-latest")
    out = str(tmp_path / "small.pth")
    command("models", "compress", str(tmp_path / "小雨" / "G_7.pth"), "--out", out)
    command("models", "delete", "小雨", "G_7-compressed-half")
    assert "no kind of file" in command("models", "info", __file__, code=1)[1]
    command("models", "mix", "小雨", "G_7", code=2)
    listed = json.loads(command("models", "--voice", "小雨", "--json")[0])
    assert sorted(model["name"] for model in listed["trained"]) == ["G_7", "mixed"]


def test_an_import_of_nothing_fails_and_says_why(command: Command, tmp_path: Path) -> None:
    file = write_generator(tmp_path / "G_7.pth", config(speech_encoder="vec256l9"))
    file.write_bytes(file.read_bytes()[:5000])
    told, error = command("models", "import", str(file), code=1)
    assert "G_7.pth is damaged or cut short (its end is missing)." in told
    assert "Nothing was imported" in error
    command("models", "import", str(file), "--look")
