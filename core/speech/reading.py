"""Text on its way to the language model: cut where neither words nor numbers are torn, and written as it is read aloud.

However a text is cut on its way in, the pieces that leave are the same, so a number that arrives in two chunks is read
as in the whole text.
"""

import logging
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any

log = logging.getLogger(__name__)

_MAX_RUN = 60  # letters without any place to cut after which a run is cut anyway
_HAN_RUN = 8  # Chinese without marks: waiting for one would hold up the speech
_AHEAD = 4  # letters after a cut that must be known
_MARKS = ",.;:!?…，。；：！？、)）」』”"
_HAN, _KANA, _HANGUL = "\u3400-\u9fff", "\u3040-\u30ff", "\uac00-\ud7af"
_SIGNS = "$€£¥￥%‰°℃#+-−*×/=~"  # what belongs to a number beside it
_NUMERIC = re.compile(rf"[\d{re.escape(_SIGNS)}]")
_IS_HAN = re.compile(f"[{_HAN}]")
_UNIT = re.compile(r"\d+(?:[A-Za-z]+| ?[A-Za-z]{1,2}\b)")  # 100kg is no English
_HAN_MARKS = re.compile("[。，！？；：、￥]")
_TO_READ = re.compile(r"[^\w\s]|\d")


class Pieces:
    """Takes text in chunks, gives pieces that can be normalised and tokenised one by one.

    A number stays together with the words beside it: its unit, currency or month decide how it is read.
    """

    def __init__(self) -> None:
        self._buffer = ""

    def feed(self, chunk: str) -> list[str]:
        """Pieces that are complete with this chunk."""
        self._buffer += chunk
        found = []
        while end := self._cut():
            found.append(self._buffer[:end])
            self._buffer = self._buffer[end:]
        return found

    def finish(self) -> list[str]:
        """What is left."""
        rest, self._buffer = self._buffer, ""
        return [rest] if rest else []

    def _cut(self) -> int:
        """Where the first piece ends; 0 if more must be seen. What has been seen later never changes it."""
        text = self._buffer
        for at in range(1, min(len(text) - _AHEAD, _MAX_RUN) + 1):
            if _ends(text, at):
                return at
        return _forced(text) if len(text) > _MAX_RUN + _AHEAD else 0


def _ends(text: str, at: int) -> bool:
    """Whether a piece may end before `text[at]`, judged by what precedes it and `_AHEAD` letters."""
    before, ahead = text[at - 1], text[at : at + _AHEAD]
    if ahead[0].isspace():
        word = text[:at].split()[-1:]
        return bool(word) and not before.isspace() and not (_NUMERIC.search(word[0]) or _NUMERIC.match(ahead.strip()))
    if before in _MARKS:
        return ahead[0] not in _MARKS and not _joined(text, at)
    return at >= _HAN_RUN and all(map(_IS_HAN.match, text[at - _HAN_RUN : at] + ahead))


def _joined(text: str, at: int) -> bool:
    """Whether the mark before `at` stands inside a number or a word: 3.14, 1,000, 12:30, e.g."""
    if at < 2:
        return False
    left, right = text[at - 2], text[at]
    ascii_mark = text[at - 1].isascii() and left.isascii() and right.isascii()
    return (left.isdigit() and right.isdigit()) or (ascii_mark and left.isalnum() and right.isalnum())


def _forced(text: str) -> int:
    """Where a run is cut that has no place for it: before its last space, else not between two digits."""
    spaces = [at for at in range(1, _MAX_RUN + 1) if text[at].isspace() and not text[at - 1].isspace()]
    at = spaces[-1] if spaces else _MAX_RUN
    while at > 1 and text[at - 1].isdigit() and text[at].isdigit():
        at -= 1
    return at if at > 1 else _MAX_RUN


def pieces(chunks: Iterable[str]) -> Iterator[str]:
    """Pieces of a text that arrives in chunks, each as soon as it is known."""
    cutter = Pieces()
    for chunk in chunks:
        yield from cutter.feed(chunk)
    yield from cutter.finish()


@lru_cache(maxsize=1)
def normalisers() -> dict[str, Any]:
    """By language; empty where the optional package wetext, which carries its grammars, is not installed."""
    try:
        from wetext import Normalizer
    except ImportError:
        return {}
    return {lang: Normalizer(lang=lang, operator="tn") for lang in ("zh", "en", "ja")}


class Reading:
    """One text as it is read aloud, piece by piece: numbers, dates and signs written out.

    The language is that of a piece's letters; a piece without letters is read in the language before it.
    """

    def __init__(self) -> None:
        self._language = "en"

    def __call__(self, piece: str) -> str:
        """The piece written out; spaces around it stay. Unchanged in a language or by a package that is not here."""
        self._language = _language(piece, self._language)
        body, normaliser = piece.strip(), normalisers().get(self._language)
        if normaliser is None or not _TO_READ.search(body):
            return piece
        try:
            spoken = normaliser.normalize(body)
        # The package's grammars raise what they like for a text that they do not know ("#1"): it is said as written.
        except Exception as err:  # noqa: BLE001
            log.info("not normalised: %r (%s)", body, type(err).__name__)
            return piece
        start = len(piece) - len(piece.lstrip())
        return piece[:start] + spoken + piece[start + len(body) :]


def _language(piece: str, before: str) -> str:
    piece = _UNIT.sub("", piece)
    if re.search(f"[{_KANA}]", piece):
        return "ja"
    if _IS_HAN.search(piece):
        return "ja" if before == "ja" else "zh"
    if re.search(f"[{_HANGUL}]", piece):
        return "ko"
    if re.search(r"[A-Za-z]", piece):
        return "en"
    return "zh" if before == "en" and _HAN_MARKS.search(piece) else before


def normalised(text: str) -> str:
    """A whole text as `Reading` reads its pieces."""
    reading = Reading()
    return "".join(reading(piece) for piece in pieces([text]))
