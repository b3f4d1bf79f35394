"""Lines as GPT-SoVITS reads them."""

import pytest

from core.cutting.outputs import _list_line, guess_language


@pytest.mark.parametrize(
    ("text", "language"),
    [("你好，世界。", "zh"), ("こんにちは世界", "ja"), ("안녕하세요", "ko"), ("Hello.", "en"), ("", "en")],
)
def test_language_by_script(text: str, language: str) -> None:
    assert guess_language(text) == language


def test_a_bar_or_a_line_break_never_breaks_the_line() -> None:
    line = _list_line({"audio": "/a b/0001.wav", "text": "one | two\nthree"}, "A|B")
    assert line.split("|") == ["/a b/0001.wav", "A B", "EN", "one two three"]
