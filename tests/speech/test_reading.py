"""Text that arrives in chunks, and how it is read aloud."""

import itertools
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.speech.reading import Reading, normalised, normalisers, pieces

TEXTS = st.text(alphabet="ab 1.,!今天。，(\n", max_size=90)
needs_wetext = pytest.mark.skipif(not normalisers(), reason="wetext is not installed")

# Each with what reads it: a unit, a currency, a date, a time, that more than one word or mark belongs to.
ENGLISH = ("It costs $3.50", "on March 5, 2024", "at 3:30 pm", "with 5 km", "and 50%", "the 1st of May 2020",
           "my friends", "in 1999", "about 3.14", "Dr. Smith", "-5 degrees", "2024-03-05", "1/2 cup")  # fmt: skip
CHINESE = ("今天是2024年3月5日", "气温-3.5度", "共1,234元", "电话13800138000", "完成50%", "你好世界", "第2名",
           "3:30开会", "1/2的人", "重100kg", "版本2.0", "我们非常非常高兴地看到", "有3个苹果")  # fmt: skip


def cut(data: st.DataObject, text: str) -> list[str]:
    edges = [0, *sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=5))), len(text)]
    return [text[a:b] for a, b in itertools.pairwise(edges)]


@given(TEXTS, st.data())
def test_pieces_do_not_depend_on_chunks_and_nothing_is_lost(text: str, data: st.DataObject) -> None:
    found = list(pieces(cut(data, text)))
    assert "".join(found) == text
    assert found == list(pieces([text])) == list(pieces(text))
    assert all(found)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It costs 3.14, or so it seems.", ["It", " costs 3.14, or", " so", " it", " seems."]),
        ("你好，世界。", ["你好，世界。"]),
        ("你好，世界很大。", ["你好，", "世界很大。"]),
        ("今天天气很好适合出去散步", ["今天天气很好适合", "出去散步"]),
        ("今天天气很好适合第2名", ["今天天气很好适合第2名"]),
        ("on March 5, 2024 we met", ["on", " March 5, 2024 we", " met"]),
        ("a" * 80, ["a" * 60, "a" * 20]),
        ("12 " * 30, ["12 " * 19 + "12", " 12" * 10 + " "]),
        ("a" * 58 + "1234567", ["a" * 58, "1234567"]),
    ],
)
def test_where_pieces_end(text: str, expected: list[str]) -> None:
    assert list(pieces(iter(text))) == expected


def test_words_are_handed_on_as_they_come() -> None:
    arrived = []

    def chunks() -> Iterator[str]:
        for chunk in ("Good mor", "ning to", " you all"):
            arrived.append(chunk)
            yield chunk

    stream = pieces(chunks())
    assert next(stream) == "Good"
    assert len(arrived) == 1
    assert next(stream) == " morning"
    assert len(arrived) == 3


@needs_wetext
@settings(max_examples=60, deadline=None)
@given(st.data())
@pytest.mark.parametrize(
    ("lang", "parts", "marks"), [("en", ENGLISH, (" ", ", ", ". ")), ("zh", CHINESE, ("，", "。"))]
)
def test_a_text_in_chunks_is_read_as_the_whole_text(
    lang: str, parts: tuple[str, ...], marks: tuple[str, ...], data: st.DataObject
) -> None:
    """What the grammars make of the whole is what the pieces give, wherever a chunk tears a number or a date."""
    pairs = data.draw(st.lists(st.tuples(st.sampled_from(parts), st.sampled_from(marks)), min_size=1, max_size=5))
    text = "".join(part + mark for part, mark in pairs).strip()
    reading = Reading()
    assert "".join(map(reading, pieces(cut(data, text)))) == normalisers()[lang].normalize(text)


@needs_wetext
@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("It costs $3.50 on March 5, 2024.", "three point five dollars on the fifth of march, twenty twenty four."),
        ("at 3:30 pm, 50% of 5 km", "at three thirty PM, fifty percent of five kilometers"),
        ("2024年3月5日，共1,234元，50%", "二零二四年三月五日，共一千二百三十四元，百分之五十"),
        ("你好，3.14。", "你好，三点一四。"),
        ("我有3个。I have 3.", "我有三个。I have three."),
        ("りんごが3個", "りんごが三個"),
        ("사과 3개", "사과 3개"),
        ("[laughter]<strong>3个</strong>", "[laughter]<strong>三个</strong>"),
        ("Call #1 now", "Call #1 now"),
        (" 3 ", " three "),
        ("  ", "  "),
        (" plain words ", " plain words "),
    ],
)
def test_numbers_are_read_in_the_language_around_them(text: str, spoken: str) -> None:
    assert spoken in normalised(text)
    assert len(normalised(text)) - len(normalised(text).strip()) == len(text) - len(text.strip())
