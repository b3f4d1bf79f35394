"""Where sentences end, in many scripts, and how pieces of text join."""

import pytest

from core.subtitles.scripts import ends_clause, ends_sentence, first_letter, is_speech, join, one_line


@pytest.mark.parametrize(
    "text",
    ["It ends.", "Really?", "No!", 'He said "yes."', "(It ends.)", "结束了。", "真的吗？", "「終わり。」", "انتهى؟",
     "ختم۔", "समाप्त।", "Վերջ։", "አበቃ።", "Well…", "So do I.", "It was 2."],
)  # fmt: skip
def test_sentences_end(text: str) -> None:
    assert ends_sentence(text)
    assert ends_sentence(text, "Next one")


@pytest.mark.parametrize("text", ["and then,", "那么，", "それは、", "because", "first:", "", "”", "ثم،", "half –"])
def test_fragments_do_not(text: str) -> None:
    assert not ends_sentence(text)


@pytest.mark.parametrize(
    ("text", "following", "ends"),
    [
        ("I met Dr.", "Smith", False),
        ("by J.", "Smith", False),
        ("apples, pears, etc.", "and so on", False),
        ("apples, pears, etc.", "Then", True),
        ("in the U.S.", "Army", True),
        ("in the U.S.", "army", False),
        ("Well...", "maybe", False),
        ("Well...", "Maybe", True),
        ("all small.", "like this", True),
        ("Dr.", "", True),
    ],
)
def test_dots_are_not_all_alike(text: str, following: str, ends: bool) -> None:
    assert ends_sentence(text, following) is ends


def test_clauses() -> None:
    assert all(map(ends_clause, ["a,", "a;", "a:", "a，", "a、", 'a,"', "a —"]))
    assert not any(map(ends_clause, ["a", "a.", "", "a?"]))


def test_joining() -> None:
    assert join("今天", "很好") == "今天很好"
    assert join("今天", "good") == "今天 good"
    assert join("so", "good") == "so good"
    assert join("안녕", "하세요") == "안녕 하세요"
    assert join("", "a") == join("a", "") == "a"
    assert one_line([" a  b ", "", "你", "好"]) == "a b 你好"


def test_first_letter_and_speech() -> None:
    assert [first_letter(text) for text in ("“Ah", "¿qué", "3 men", "...", "你")] == ["A", "q", "", "", "你"]
    assert not any(map(is_speech, ["[Music]", "(laughs)", "♪ la la ♪", "（笑い）", "...", "* door *", "【掌声】"]))
    assert all(map(is_speech, ["[Ann] Hi", "42", "你好（笑）"]))
