"""Sentences of the core in the page's language.

The core speaks English. Those of its sentences that people meet while they train stand in the label files as
``said.NAME``: in English as a template of just that sentence, and in the other languages as what it says. A sentence
is found by its template, and its values are put into the other language's; one that is not listed stays as it is.
"""

import re
import string
from functools import lru_cache

from ui.texts import Texts, load_table

PREFIX = "said."


@lru_cache
def patterns() -> list[tuple[str, re.Pattern[str]]]:
    """(key, what the sentence looks like), those with the most fixed letters first."""
    found = []
    for key, template in load_table("en").items():
        if key.startswith(PREFIX):
            parts = list(string.Formatter().parse(template))
            shape = "".join(re.escape(text) + (f"(?P<{name}>.+?)" if name else "") for text, name, _, _ in parts)
            found.append((sum(len(text) for text, *_ in parts), key, re.compile(shape, re.DOTALL)))
    return [(key, pattern) for _, key, pattern in sorted(found, key=lambda one: -one[0])]


def said(t: Texts, text: str) -> str:
    """``text`` in the page's language: its parts, if each is known, else the whole, else the parts that are known.

    Parts lie between semicolons, or are sentences. A value may be a sentence of its own.
    """
    if t.lang == "en" or not text:
        return text
    every, some = "", ""
    for between, join in (("; ", "；"), (r"(?<=\.) ", "")):
        parts = re.split(between, text)
        known = [_one(t, part) for part in parts]
        if len(parts) > 1 and any(known):
            spoken = join.join(one or said(t, part) for one, part in zip(known, parts, strict=True))
            every, some = every or (spoken if all(known) else ""), some or spoken
    return every or _one(t, text) or some or text


def _one(t: Texts, text: str) -> str | None:
    for key, pattern in patterns():
        if match := pattern.fullmatch(text):
            return t(key, **{name: said(t, value) for name, value in match.groupdict().items()})
    return None
