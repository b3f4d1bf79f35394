"""Scripts, languages, how fast a text would be said, and how far two texts are apart."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.quality.text_match import character_error_rate, language_of, letters_only, pace, script_of, scripts
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


@given(st.text(max_size=20))
def test_every_letter_has_one_script_and_nothing_else_has(text: str) -> None:
    for char in text:
        assert (script_of(char) is not None) == char.isalpha()
    assert all(count > 0 for count in scripts(text).values())


@given(st.text(alphabet="abc好ぁ 7", max_size=12), st.text(alphabet="abc好ぁ 7", max_size=12))
def test_error_rate_counts_edits(a: str, b: str) -> None:
    letters_a, letters_b = letters_only(a), letters_only(b)
    if letters_a and letters_b:
        edits = character_error_rate(a, b) * len(letters_a)
        assert edits == pytest.approx(character_error_rate(b, a) * len(letters_b)), "a distance is the same both ways"
        assert abs(len(letters_a) - len(letters_b)) <= round(edits) <= max(len(letters_a), len(letters_b))


@given(st.sampled_from(["word", "天气", "мир", "today 天气"]), st.floats(0.1, 30), st.floats(1.1, 4))
def test_the_same_text_in_less_time_is_faster(text: str, seconds: float, factor: float) -> None:
    slow, fast = pace(text, seconds, SPEECH_RATES), pace(text, seconds / factor, SPEECH_RATES)
    assert slow is not None
    assert fast is not None
    assert fast.letters_per_s > slow.letters_per_s
    assert (fast.slow, fast.fast) == (slow.slow, slow.fast), "the range belongs to the text"
    assert slow.slow < slow.fast


def test_a_mix_of_scripts_has_a_range_between_theirs() -> None:
    mixed, latin, han = (pace(text, 1.0, SPEECH_RATES) for text in ("word 天气很好", "word", "天气很好"))
    assert mixed is not None
    assert latin is not None
    assert han is not None
    assert han.fast < mixed.fast < latin.fast
    assert han.slow < mixed.slow < latin.slow


@pytest.mark.parametrize(
    ("text", "letters"), [("Ｈéllo, 7!", "héllo7"), ("Straße", "strasse"), ("…", ""), ("好 的", "好的")]
)
def test_letters_are_compared_folded(text: str, letters: str) -> None:
    assert letters_only(text) == letters
