"""Bytes of a subtitle file as text, whatever wrote them.

Order: a byte order mark; UTF-16 by its zero bytes; UTF-8; then the legacy encodings of Chinese and Japanese, where
the one whose text consists of common characters wins. Each of their character sets has a first level of the
characters that everyday text uses; read with the wrong encoding, the bytes scatter over the rare ones.
"""

import codecs
from collections.abc import Callable

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16 LE, whose mark it starts with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_SAMPLE_BYTES = 1 << 16
_ENOUGH = 0.6  # share of common characters; the right encoding of real text has over 0.9
_DAMAGED_SHARE = 0.05
_LEGACY = ("gb18030", "big5", "cp932")


def decode(data: bytes, encoding: str | None = None) -> tuple[str, str, str]:
    """(text, encoding, doubt): `doubt` says in words what is not certain, else it is empty.

    `encoding` is used as given where the person knows it. Never raises: bytes that fit nothing become U+FFFD.
    """
    if encoding is not None:
        try:
            name = codecs.lookup(encoding).name
            return _checked(data.decode(name, "replace"), name)
        except (LookupError, UnicodeError, ValueError, TypeError):
            text, name, _ = decode(data)
            return text, name, f"There is no text encoding {encoding!r}; the file was read as {name}."
    for mark, name in _MARKS:
        if data.startswith(mark):
            return _checked(data.decode(name, "replace"), name)
    wide = _zero_bytes(data)
    if wide:
        return _checked(data.decode(wide, "replace"), wide)
    try:
        return data.decode("utf-8"), "utf-8", ""
    except UnicodeDecodeError:
        return _not_utf8(data)


def _checked(text: str, name: str) -> tuple[str, str, str]:
    bad = text.count("\ufffd")
    return text, name, f"{bad} characters could not be read as {name}; they are shown as \ufffd." if bad else ""


def _zero_bytes(data: bytes) -> str:
    """UTF-16 without a mark: digits, spaces and line ends have a zero byte, always on the same side."""
    sample = data[: _SAMPLE_BYTES // 2 * 2]
    even, odd = sample[0::2].count(0), sample[1::2].count(0)
    least = max(2, len(sample) // 20)
    if odd >= least and odd > 4 * even:
        return "utf-16-le"
    if even >= least and even > 4 * odd:
        return "utf-16-be"
    return ""


def _not_utf8(data: bytes) -> tuple[str, str, str]:
    text = data.decode("utf-8", "replace")
    bad, foreign = text.count("\ufffd"), sum(char > "\x7f" for char in text)
    if bad <= _DAMAGED_SHARE * foreign + 1 and foreign > bad:
        return _checked(text, "utf-8")  # UTF-8 that was cut or damaged in a few places
    best, best_score = "cp1252", _ENOUGH
    for name in _LEGACY:
        score = _common_share(data, name)
        if score > best_score:
            best, best_score = name, score
    text = data.decode(best, "replace")
    lost = text.count("\ufffd")
    more = f" {lost} characters could not be read." if lost else ""
    return text, best, f"The file does not say its encoding; it was read as {best}.{more} Save it as UTF-8 to be sure."


def _common_share(data: bytes, name: str) -> float:
    """Share of everyday characters among those beyond ASCII, were `data` written in encoding `name`; 0..1."""
    text = data[:_SAMPLE_BYTES].decode(name, "replace")
    foreign = [char for char in text if char > "\x7f"]
    if not foreign or text.count("\ufffd") > _DAMAGED_SHARE * len(foreign) + 1:
        return 0.0
    return sum(map(_COMMON[name], foreign)) / len(foreign)


def _in_level(encoding: str, low: int, high: int) -> Callable[[str], bool]:
    def common(char: str) -> bool:
        try:
            code = int.from_bytes(char.encode(encoding))
        except UnicodeEncodeError:
            return False
        return low <= code <= high

    return common


_gb_level_1, _gb_marks = _in_level("gb2312", 0xB0A1, 0xD7F9), _in_level("gb2312", 0xA1A1, 0xA3FE)
_big5_level_1, _big5_marks = _in_level("big5", 0xA440, 0xC67E), _in_level("big5", 0xA140, 0xA3BF)
_jis_level_1, _jis_marks = _in_level("shift_jis", 0x889F, 0x9872), _in_level("shift_jis", 0x8140, 0x8396)
_COMMON: dict[str, Callable[[str], bool]] = {
    "gb18030": lambda char: _gb_level_1(char) or _gb_marks(char),
    "big5": lambda char: _big5_level_1(char) or _big5_marks(char),
    "cp932": lambda char: _jis_level_1(char) or _jis_marks(char),
}
