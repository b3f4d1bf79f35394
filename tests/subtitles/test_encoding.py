"""The encodings that subtitles come in, found without being told."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.subtitles.encoding import decode
from core.subtitles.parse import parse

CHINESE = "我们今天去公园散步，天气非常好。"
TAIWANESE = "我們今天去公園散步，天氣非常好。"
JAPANESE = "今日は公園に行きました。とても楽しかった！"


def as_srt(text: str) -> str:
    return f"1\r\n00:00:01,000 --> 00:00:02,500\r\n{text}\r\n"


@pytest.mark.parametrize("text", [CHINESE, TAIWANESE, JAPANESE, "Grüße aus München", "Hello there", "Привет"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_unicode_needs_no_guess(text: str, encoding: str) -> None:
    parsed = parse(as_srt(text).encode(encoding))
    assert [cue.text for cue in parsed.cues] == [text]
    assert parsed.findings == []


@pytest.mark.parametrize(
    ("text", "written", "found"),
    [
        (CHINESE, "gbk", "gb18030"),
        ("你好", "gbk", "gb18030"),
        ("好的，谢谢你！", "gb18030", "gb18030"),
        ("他说：“等一下，我马上就来……”", "gbk", "gb18030"),
        (TAIWANESE, "big5", "big5"),
        ("你好嗎", "big5", "big5"),
        ("謝謝大家的收看，我們下次再見", "cp950", "big5"),
        (JAPANESE, "shift_jis", "cp932"),
        ("ありがとう", "cp932", "cp932"),
        ("カタカナ①髙い", "cp932", "cp932"),
        ("Ça va très bien, merci à tous. L'été fut là.", "cp1252", "cp1252"),
        ("Grüße, schöne Füße", "latin-1", "cp1252"),
    ],
)
def test_legacy_is_guessed_and_said(text: str, written: str, found: str) -> None:
    parsed = parse(as_srt(text).encode(written))
    assert parsed.encoding == found
    assert [cue.text for cue in parsed.cues] == [text]
    assert [finding.code for finding in parsed.findings] == ["encoding"]


def test_the_person_may_know_better() -> None:
    data = as_srt("Привет").encode("cp1251")
    assert parse(data, encoding="cp1251").cues[0].text == "Привет"
    wrong = parse(data, encoding="klingon")
    assert "klingon" in wrong.findings[0].message
    assert "klingon" in parse(data, encoding="kling\x00on").findings[0].message or wrong.cues


def test_utf8_with_a_wound_is_still_utf8() -> None:
    data = as_srt(CHINESE * 4).encode()
    cut = data[:60] + data[61:]
    parsed = parse(cut)
    assert parsed.encoding == "utf-8"
    assert parsed.cues[0].text.endswith(CHINESE)
    assert [finding.code for finding in parsed.findings] == ["encoding"]


@given(
    st.binary(max_size=400),
    st.sampled_from([None, "utf-8", "utf-16", "gbk", "base64", "idna", "punycode", "zlib", "x"]),
)
def test_any_bytes_become_text(data: bytes, encoding: str | None) -> None:
    text, name, doubt = decode(data, encoding)
    assert isinstance(text, str)
    assert name
    assert "\ufffd" not in text or doubt or "\ufffd".encode() in data or b"\xff\xfd" in data or b"\xfd\xff" in data
