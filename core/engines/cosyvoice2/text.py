"""Text on its way to the language model: normalised, and cut where neither words nor numbers are torn.

However a text is cut on its way in, the pieces that leave are the same.
"""

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any

_MAX_RUN = 60  # letters without any mark or space after which a run is cut anyway
_HAN_RUN = 8  # the same for Chinese, whose words are short: waiting for a mark would hold up the speech
# A piece ends after white space or a mark, if what follows cannot belong to it: "3.14", "1,000", "it's".
_MARKS = ",.;:!?…，。；：！？、)）」』”"
_HAN = re.compile(r"[\u3400-\u9fff]")


class Pieces:
    """Takes text in chunks, gives pieces that can be normalised and tokenised one by one."""

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
        """Where the first piece ends; 0 if more must be seen."""
        text = self._buffer
        for at in range(1, min(len(text), _MAX_RUN + 1)):
            before, after = text[at - 1], text[at]
            if before in _MARKS and after not in _MARKS and not after.isspace() and not _joined(text, at):
                return at
            # A space belongs to the word that follows it; digits on both sides may be one number.
            if after == " " and not before.isspace() and not before.isdigit() and before not in _MARKS:
                return at
            if before.isspace() and at > 1 and not after.isspace() and text[at - 2] in _MARKS:
                return at - 1
            if at >= _HAN_RUN and _HAN.match(after) and all(map(_HAN.match, text[at - _HAN_RUN : at])):
                return at
        return _MAX_RUN if len(text) > _MAX_RUN else 0


def _joined(text: str, at: int) -> bool:
    """Whether the mark before `at` stands inside a number or a word."""
    return at >= 2 and text[at - 2].isascii() and text[at - 2].isalnum() and text[at].isascii() and text[at].isalnum()


def pieces(chunks: Iterable[str]) -> Iterator[str]:
    """Pieces of a text that arrives in chunks, each as soon as it is known."""
    cutter = Pieces()
    for chunk in chunks:
        yield from cutter.feed(chunk)
    yield from cutter.finish()


@lru_cache(maxsize=1)
def _normalisers() -> dict[str, Any]:
    """By language; empty where the optional package wetext is not installed."""
    try:
        from wetext import Normalizer
    except ImportError:
        return {}
    return {"zh": Normalizer(lang="zh", operator="tn"), "en": Normalizer(lang="en", operator="tn")}


def normalised(text: str) -> str:
    """Numbers, dates and signs written out, where wetext is installed; the spaces around the text stay."""
    body = text.strip()
    found = _normalisers()
    if not found or not any(char.isdigit() or not char.isalnum() for char in body):
        return text
    spoken = found["zh" if _HAN.search(body) else "en"].normalize(body)
    start = len(text) - len(text.lstrip())
    return text[:start] + spoken + text[start + len(body) :] if body else text
