"""Languages by code and by the documented words."""

import pytest

from core.service.languages import code_of, espeak_voice, guess


@pytest.mark.parametrize(
    ("word", "code"),
    [("中文", "zh"), ("英文", "en"), ("日文", "ja"), ("粤语", "yue"), ("韩文", "ko"), ("ZH", "zh"), (" en ", "en"),
     ("all_ja", "ja"), ("多语种混合", "auto"), ("中英混合", "zh")],
)  # fmt: skip
def test_words_and_codes(word: str, code: str) -> None:
    assert code_of(word) == code


def test_unknown_words_name_what_there_is() -> None:
    with pytest.raises(ValueError, match="中文"):
        code_of("Klingon")


def test_auto_looks_at_the_script() -> None:
    assert [guess(text) for text in ("hello", "你好", "こんにちは", "안녕", "42")] == ["en", "zh", "ja", "ko", "en"]
    assert espeak_voice("auto", "你好") == "cmn"
    assert espeak_voice("英文", "你好") == "en-us"
