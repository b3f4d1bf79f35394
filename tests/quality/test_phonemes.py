"""Sounds of texts, as espeak-ng reads them."""

from core.audio.synthetic import SENTENCES
from core.quality.phonemes import count, missing


def test_the_demo_sentences_hold_all_of_english() -> None:
    assert missing(count(SENTENCES, "en"), "en") == []


def test_what_a_small_text_lacks_is_named() -> None:
    found = count(["Bob, Bob."], "en")
    assert found["b"] == 4
    assert {"ʃ", "θ"} <= set(missing(found, "en"))
    assert missing(count(["ciao"], "it"), "it") == [], "known for English only"


def test_no_language_no_sounds() -> None:
    assert count(["hello"], "") == {}
    assert count(["hello"], "zz") == {}
    assert count(["你好"], "zh")
