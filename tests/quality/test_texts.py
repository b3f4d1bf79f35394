"""Both languages say the same things, and say them whole."""

import re

import pytest

from core.quality import texts_en, texts_zh
from core.quality.findings import CLIP_CODES, Finding
from core.quality.texts import LANGUAGES, pick_language, quantity, said


def test_languages_have_the_same_codes_words_and_places() -> None:
    assert texts_en.TEXTS.keys() == texts_zh.TEXTS.keys()
    assert texts_en.WORDS.keys() == texts_zh.WORDS.keys()
    assert set(CLIP_CODES) <= texts_en.TEXTS.keys()
    for code, (title, _, _) in texts_en.TEXTS.items():
        assert set(re.findall(r"{\w+}", title)) == set(re.findall(r"{\w+}", texts_zh.TEXTS[code][0])), code


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_finding_says_why_and_what_to_do(language: str) -> None:
    for code, parts in LANGUAGES[language].items():
        assert all(part.strip() for part in parts), code


def test_figures_come_with_units_and_limit() -> None:
    words = said(Finding("noisy", "review", ["a", "b"], 4.2, 9.4, 15.0), "en")
    assert words.figures == "4 dB to 9 dB (limit 15 dB)"
    assert quantity("clipped", 0.0123) == "1.23 %"
    assert said(Finding("no_text", "review", ["a"]), "zh").figures == ""


def test_names_of_files_are_filled_in_as_they_are() -> None:
    words = said(Finding("one_source", "remark", [], 0.9, 0.9, 0.6, {"source": "{share} <b>.wav"}), "en")
    assert words.title == "Most comes from one recording: {share} <b>.wav"


def test_unknown_codes_show_as_themselves() -> None:
    assert said(Finding("new_thing", "remark"), "en").title == "new_thing"


def test_language_is_asked_set_or_english() -> None:
    assert [pick_language(*pair) for pair in (("zh", "en"), ("auto", "zh"), ("auto", "auto"))] == ["zh", "zh", "en"]
