"""Scripts, languages, how fast a text would be said, and how far two texts are apart."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.quality.text_match import character_error_rate, language_of, pace, script_of, scripts
from core.quality.thresholds import SPEECH_RATES


@pytest.mark.parametrize(
    ("char", "script"),
    [("a", "latin"), ("é", "latin"), ("好", "han"), ("ぁ", "kana"), ("ー", "kana"), ("한", "hangul"), ("ж", "cyrillic"),
     ("ω", "greek"), ("ᚠ", "other"), ("!", None), ("，", None), ("7", None)],
)  # fmt: skip
def test_scripts_of_letters(char: str, script: str | None) -> None:
    assert script_of(char) == script


def test_digits_count_as_the_letters_of_their_names() -> None:
    assert scripts("year 1984") == {"latin": 4 + 16}
    assert scripts("第7天") == {"han": 3}
    assert scripts("ＡＢ") == {"latin": 2}, "full-width letters are letters of their own script"
    assert scripts("12") == {"latin": 8}


@pytest.mark.parametrize(
    ("text", "language"),
    [("今日は良い天気です", "ja"), ("你好，世界", "zh"), ("안녕하세요", "ko"), ("hello", ""), ("привет", ""), ("", "")],
)
def test_language_by_script_alone(text: str, language: str) -> None:
    assert language_of(text) == language


@pytest.mark.parametrize(
    ("text", "seconds", "fits"),
    [
        ("The old harbour wakes before the sun.", 2.2, True),
        ("The old harbour wakes before the sun.", 0.9, False),
        ("The old harbour wakes before the sun.", 12.0, False),
        ("今天天气很好，我们去公园走走吧", 3.0, True),
        ("今天天气很好，我们去公园走走吧", 0.8, False),
        ("我们用 Python 写代码", 2.0, True),
    ],
)
def test_pace(text: str, seconds: float, fits: bool) -> None:
    said = pace(text, seconds, SPEECH_RATES)
    assert said is not None
    assert said.fits == fits


def test_no_pace_without_letters_or_speech() -> None:
    assert pace("...", 2.0, SPEECH_RATES) is None
    assert pace("word", 0.0, SPEECH_RATES) is None
    assert pace("ᚠᚢᚦ", 2.0, SPEECH_RATES) is None


@given(st.text(max_size=30), st.text(max_size=30))
def test_error_rate_is_a_distance(a: str, b: str) -> None:
    assert character_error_rate(a, a) == 0.0
    rate = character_error_rate(a, b)
    assert rate >= 0.0
    assert (rate == 0.0) == (character_error_rate(b, a) == 0.0)


def test_error_rate_hears_letters_only() -> None:
    assert character_error_rate("Hello, World!", "hello world") == 0.0
    assert character_error_rate("kitten", "sitting") == pytest.approx(3 / 6)
    assert character_error_rate("", "x") == 1.0
