"""`train` on the command line: what is refused before any work, in words."""

import pytest

from tests.cli.conftest import Command


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "Which voice?"),
        (["nobody"], "nobody"),
        (["--resume", "no-run"], "no run 'no-run'"),
        (["Ann", "--set", "steps"], "NAME=VALUE"),
    ],
)
def test_wrong_orders_are_named(words: list[str], said: str, command: Command) -> None:
    command("voices", "--create", "Ann")
    assert said in command("train", *words, code=1)[1]


@pytest.mark.parametrize(
    "words", [["Ann", "--preset", "huge"], ["Ann", "--precision", "fp8"], ["Ann", "--steps", "x"], ["a", "b"]]
)
def test_wrong_words_show_the_usage(words: list[str], command: Command) -> None:
    assert "usage: app.py" in command("train", *words, code=2)[1]


def test_without_clips_the_pre_flight_says_what_to_do(command: Command) -> None:
    command("voices", "--create", "Ann")
    out, err = command("train", "Ann", "--device", "cpu", code=1)
    assert "FAIL" in out
    assert "Not started:" in err
    assert "--force" in err
    assert "Traceback" not in err
