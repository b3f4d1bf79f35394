"""`voices`: made, renamed, deleted, and never lost."""

from pathlib import Path

import pytest

from tests.cli.conftest import Command


def test_a_new_workspace_says_what_to_do(command: Command) -> None:
    assert "app.py prep NAME" in command("voices")[0]


@pytest.mark.parametrize("name", ["Ann", "小明", 'it\'s "x"', "a  b"])
def test_a_voice_from_its_first_day_to_its_last(name: str, command: Command, workspace: Path) -> None:
    made = command("voices", "--create", name)[1].removeprefix("Created ").removesuffix(".\n")
    assert made in command("voices")[0]
    assert "other 声" in command("voices", "--rename", made, "other 声")[0]
    out, err = command("voices", "--delete", "other 声")
    assert "trash" in err
    assert "No voices yet" in out
    kept = (
        [path.name for path in (workspace / "voices" / ".trash").iterdir()] if (workspace / "voices").is_dir() else []
    )
    assert any("other" in entry for entry in kept), "a deleted voice can be had back"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--delete", "nobody"], "nobody"),
        (["--rename", "nobody", "b"], "nobody"),
        (["--create", "Ann"], "Ann"),
    ],
)
def test_wrong_orders_change_nothing(words: list[str], said: str, command: Command) -> None:
    command("voices", "--create", "Ann")
    assert said in command("voices", *words, code=1)[1]
    assert command("voices")[0].count("\n") == 2


def test_one_of_create_rename_delete(command: Command) -> None:
    assert "not allowed with" in command("voices", "--create", "a", "--delete", "b", code=2)[1]


def test_a_reference_makes_a_voice_that_can_be_cloned(command: Command, workspace: Path, speech: Path) -> None:
    assert "Ann now speaks" in command("voices", "--reference", "Ann", str(speech), "--words", "The old harbour.")[1]
    assert (workspace / "voices" / "Ann" / "prompts" / "reference.json").is_file()
    assert "no such.wav" in command("voices", "--reference", "Bob", "no such.wav", code=1)[1]
    assert "Bob" not in command("voices")[0]
