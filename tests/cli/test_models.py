"""`models`: weights that are known, where they come from, and models of voices."""

import json

from core.models import catalogue
from tests.cli.conftest import Command


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
