"""Texts cut into sentences, the same however they arrive."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import BadInput
from core.speech.sentences import MAX_CHARS, MIN_WEIGHT, Sentence, Splitter, clean, speakable, split, stream, weight

ALPHABET = st.sampled_from(
    [*'aBcd 1.,!?…。！，你好\n"”)', "Dr. ", "e.g. ", "3.14", "\n\n", "🎉", "\x00", "مرحبا", "\u200d"]
)
TEXTS = st.lists(ALPHABET, max_size=120).map("".join)


def texts(text: str, max_weight: int = 240) -> list[str]:
    return [sentence.text for sentence in split(text, max_weight)]


def test_sentences_of_several_languages() -> None:
    assert texts("This is the first sentence. And this is the second one! Is it? Yes, it really is.") == [
        "This is the first sentence.",
        "And this is the second one!",
        "Is it? Yes, it really is.",
    ]
    assert texts("今天天气很好，我们去公园。你好世界，这是测试！") == [
        "今天天气很好，我们去公园。",
        "你好世界，这是测试！",
    ]
    assert texts("“Where are you going, my dear?” she asked him. Nobody answered her at all.") == [
        "“Where are you going, my dear?” she asked him.",
        "Nobody answered her at all.",
    ]


def test_points_that_end_nothing() -> None:
    assert len(texts("Dr. J. Smith paid 3.14 dollars at example.org, e.g. for tea, to Mrs. Jones.")) == 1
    assert len(texts("He waited… and waited for a very long time... until it was over.")) == 1


def test_paragraphs() -> None:
    assert split("One line\nthat goes on. The end of it is here.\n\nAnother one.") == [
        Sentence("One line that goes on."),
        Sentence("The end of it is here.", True),
        Sentence("Another one."),
    ]
    assert [s.paragraph for s in split("A title without a stop\n \nThe text.")] == [True, False]


def test_long_sentences_are_cut_at_commas_then_spaces_then_anywhere() -> None:
    assert texts("a" * 30 + " " + "b" * 20 + ", " + "c" * 40, 60) == ["a" * 30 + " " + "b" * 20 + ",", "c" * 40]
    assert texts("a" * 40 + " " + "b" * 40, 60) == ["a" * 40, "b" * 40]
    assert [len(part) for part in texts("a" * 150, 60)] == [60, 60, 30]
    assert [len(part) for part in texts("好" * 45, 60)] == [20, 20, 5]


def test_what_has_no_sound_is_left_out() -> None:
    assert clean("a\x00b\x07 \u200dc\r\n\td 👍🏽 e\ufe0f") == "ab c d e"
    assert clean("e\u0301") == "é"
    assert clean("שלום مرحبا") == "שלום مرحبا"
    assert [speakable(text) for text in ("好", "7", "—…!")] == [True, True, False]
    assert weight("ab好") == 5


@pytest.mark.parametrize("text", ["", "   \n", "!?…", "🎉", "\x00\x01"])
def test_nothing_to_say(text: str) -> None:
    with pytest.raises(BadInput, match="nothing to say"):
        split(text)
    assert list(stream([text])) == []


def test_too_much_to_say() -> None:
    assert len(split("Ten words. " * 900)) > 100
    with pytest.raises(BadInput, match="1,048,576 characters"):
        split("a" * 2**20)
    splitter = Splitter()
    assert splitter.feed("words " * (MAX_CHARS // 6))
    with pytest.raises(BadInput, match="more than"):
        splitter.feed("words ")


@settings(max_examples=60)
@given(TEXTS, st.lists(st.integers(1, 30), min_size=1, max_size=10), st.sampled_from([60, 240]))
def test_the_way_it_arrives_changes_nothing(text: str, sizes: list[int], max_weight: int) -> None:
    pieces, at = [], 0
    while at < len(text):
        size = sizes[len(pieces) % len(sizes)]
        pieces.append(text[at : at + size])
        at += size
    whole = list(stream([text], max_weight))
    parts = list(stream(pieces, max_weight))
    assert [s for s, _ in parts] == [s for s, _ in whole]
    assert not any(last for _, last in parts[:-1])


@settings(max_examples=60)
@given(TEXTS, st.sampled_from([60, 240]))
def test_no_word_is_lost_or_said_twice(text: str, max_weight: int) -> None:
    def letters(some: str) -> str:
        return "".join(char for char in clean(some) if speakable(char))

    found = [sentence.text for sentence, _ in stream([text], max_weight)]
    assert letters("".join(found)) == letters(text)
    assert all(weight(sentence) <= max_weight + MIN_WEIGHT for sentence in found)


def test_a_sentence_is_given_as_soon_as_it_is_known() -> None:
    splitter = Splitter()
    assert splitter.feed("This is the first sentence.") == []
    assert splitter.feed(" A") == [Sentence("This is the first sentence.")]
    assert splitter.finish() == [Sentence("A")]
