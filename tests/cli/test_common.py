"""Options that commands share: which become settings, which stay the command's own."""

import argparse
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given as drawn
from hypothesis import settings
from hypothesis import strategies as st

from cli.common import Parser, Stopped, UsageError, given, known_voice, open_studio, parse_set, run_job, settings_of
from cli.output import Output
from core.errors import BadInput, NotFound
from core.settings import Settings
from tests.cli.conftest import Command


def options(workspace: Path, **more: Any) -> argparse.Namespace:
    return argparse.Namespace(workspace=str(workspace), **more)


def test_given_leaves_out_what_was_not_said() -> None:
    chosen = argparse.Namespace(a=0, b=None, c="", d=False)
    assert given(chosen, "a", "b", "c", "d", "e") == {"a": 0, "c": "", "d": False}


def test_settings_come_from_the_options(workspace: Path) -> None:
    made = settings_of(options(workspace, threads=3, device="cpu"))
    assert (made.workspace, made.threads, made.device) == (workspace, 3, "cpu")


def test_only_a_command_that_means_the_page_sets_its_language(workspace: Path) -> None:
    default = Settings().language
    assert settings_of(options(workspace, language="ja")).language == default
    assert settings_of(options(workspace, language="zh"), "language").language == "zh"
    with pytest.raises(BadInput, match="language"):
        settings_of(options(workspace, language="ja"), "language")


def test_a_parser_raises_instead_of_leaving() -> None:
    parser = Parser(prog="app.py x")
    parser.add_argument("--n", type=int)
    with pytest.raises(UsageError, match="invalid int value") as err:
        parser.parse_args(["--n", "many"])
    assert err.value.usage.startswith("usage: app.py x")


def test_voices_are_known_or_named(workspace: Path) -> None:
    studio = open_studio(options(workspace))
    studio.create_voice("小明 'x'")
    assert known_voice(studio, "小明 'x'") == "小明 'x'"
    with pytest.raises(NotFound, match="nobody"):
        known_voice(studio, "nobody")


class Runs:
    """Stands in for a studio: what a job returns is under test, not a job."""

    def __init__(self, result: dict[str, Any]) -> None:
        self.result = result

    def run_foreground(self, kind: str, params: dict[str, Any], on_progress: object) -> dict[str, Any]:
        return {"kind": kind, **params, **self.result}


def test_what_was_saved_before_a_stop_is_told() -> None:
    out = Output(json_mode=False)
    assert run_job(Runs({}), "prep", {"a": 1}, out) == {"kind": "prep", "a": 1}  # type: ignore[arg-type]
    with pytest.raises(Stopped) as stop:
        run_job(Runs({"stopped": True, "step": 7}), "train", {}, out)  # type: ignore[arg-type]
    assert stop.value.result["step"] == 7


values = st.recursive(
    st.none() | st.booleans() | st.integers(-999, 999) | st.text(max_size=8), lambda inner: st.lists(inner, max_size=3)
)
names = st.text(alphabet="abcdef_.", min_size=1, max_size=8)


@drawn(st.dictionaries(names, values, max_size=4))
@settings(max_examples=40)
def test_any_json_value_can_be_set(wanted: dict[str, Any]) -> None:
    assert parse_set([f"{name}={json.dumps(value)}" for name, value in wanted.items()]) == wanted


@drawn(names, st.text(max_size=20))
def test_what_is_no_json_is_text(name: str, text: str) -> None:
    (value,) = parse_set([f"{name}={text}"]).values()
    try:
        assert value == json.loads(text) or value != value
    except ValueError:
        assert value == text


@pytest.mark.parametrize(
    "words",
    [
        ["slice", "a.wav", "a.srt", "--out", ""],
        ["clean", "a.wav", "--out", " "],
        ["transcribe", "a.wav", "--out", ""],
        ["clean-subs", "a.srt", "--out", ""],
        ["demo", "--out", ""],
    ],
    ids=lambda words: words[0],
)
def test_an_unset_variable_is_no_folder(words: list[str], command: Command) -> None:
    assert "--out: is empty" in command(*words, code=2)[1]
