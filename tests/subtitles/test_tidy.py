"""Punctuation, spaces and capitals; what is right stays as it is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.subtitles.distance import bare
from core.subtitles.tidy import Style, close, style_of, tidy

ENGLISH = Style(unpunctuated=False, english=True, all_caps=False, stop=".", comma=",")
CHINESE = Style(unpunctuated=True, english=False, all_caps=False, stop="。", comma="，")
JAPANESE = Style(unpunctuated=True, english=False, all_caps=False, stop="。", comma="、")


@pytest.mark.parametrize(
    ("given", "mended"),
    [
        ("hello , world . how are you ?", "Hello, world. How are you?"),
        ("well,yes;no", "Well, yes; no"),
        ("it ended.Then he left", "It ended. Then he left"),
        ("i think i'm late, and i’ll go", "I think I'm late, and I’ll go"),
        ("yes,, no ,. maybe", "Yes, no. Maybe"),
        ("i met dr. smith. he left", "I met dr. smith. He left"),
        ("it costs 3,000.50 at 10:30", "It costs 3,000.50 at 10:30"),
        ("wait... what?", "Wait... what?"),
        ("iPhone users at example.com", "iPhone users at example.com"),
        ("“hello there”", "“Hello there”"),
        ("ich, i.e. i", "Ich, i.e. I"),
        ("  two   spaces ", "Two spaces"),
    ],
)
def test_spaced_scripts(given: str, mended: str) -> None:
    assert tidy(given, ENGLISH, starts_sentence=True) == mended


@pytest.mark.parametrize(
    ("given", "mended"),
    [
        ("你好,世界.", "你好，世界。"),
        ("你 好 吗 ?", "你好吗？"),
        ("今天很好 我们走吧", "今天很好，我们走吧"),
        ("他说 ， 好 。 走", "他说，好。走"),
        ("我有 iPhone 手机", "我有 iPhone 手机"),
        ("价格是3.5元", "价格是3.5元"),
    ],
)
def test_chinese(given: str, mended: str) -> None:
    assert tidy(given, CHINESE, starts_sentence=True) == mended


def test_japanese_spaces_are_commas() -> None:
    assert tidy("そうですね 行きましょう", JAPANESE, starts_sentence=True) == "そうですね、行きましょう"


def test_a_cue_inside_a_sentence_keeps_its_small_letter() -> None:
    assert tidy("and then. he left", ENGLISH, starts_sentence=False) == "and then. He left"


@given(st.text(max_size=60), st.sampled_from([ENGLISH, CHINESE, JAPANESE]), st.booleans())
def test_no_letter_is_changed(text: str, style: Style, starts: bool) -> None:
    mended = tidy(text, style, starts_sentence=starts)
    assert bare(mended) == bare(text)
    assert mended == " ".join(mended.split())


def test_closing() -> None:
    assert close("so it is", ".") == "so it is."
    assert close("“so it is”", ".") == "“so it is.”"
    for done in ("so.", "so?", "so,", "", "”"):
        assert close(done, ".") == done


def test_style_of_a_file() -> None:
    plain = style_of(["the boat is in the harbour and", "we saw that it was old"], 40_000)
    assert (plain.unpunctuated, plain.english, plain.stop) == (True, True, ".")
    assert not style_of(["The end. It is.", "So. 3.5 of them?"], 40_000).unpunctuated
    assert style_of(["version 3.5 of example.com"] * 3, 60_000).unpunctuated
    assert style_of(["今天天气很好"], 3000).comma == "，"
    assert style_of(["今日はいい天気"], 3000).comma == "、"
    assert style_of(["THE BOAT IS IN THE HARBOUR AND WE SAW THAT IT WAS OLD"], 3000).all_caps
    assert not style_of(["io vado e i ragazzi"], 3000).english
    assert style_of(["यह अच्छा है"], 3000).stop == "।"
    assert style_of(["สวัสดีครับ"], 3000).stop == ""
    assert style_of(["مرحبا بكم"], 3000).comma == "،"
