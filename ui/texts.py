"""Labels of the page, in ``ui/i18n``: one folder per language, in it one JSON file per page and one for the rest.

Keys are flat and dotted (``dataset.prepare``). English is the reference: a key that another language lacks falls
back to it, and a key that English lacks too is a programming error and raises ``KeyError``.
"""

import json
from functools import lru_cache
from pathlib import Path

from core.errors import StudioError

I18N_DIR = Path(__file__).parent / "i18n"
LANGUAGES: dict[str, str] = {"en": "English", "zh": "中文"}
HTML_LANG: dict[str, str] = {"en": "en", "zh": "zh-CN"}


class Texts:
    """The labels of one language; call it with a key and the values of its placeholders."""

    def __init__(self, lang: str, table: dict[str, str], fallback: dict[str, str]) -> None:
        self.lang = lang
        self._table = table
        self._fallback = fallback

    def __call__(self, key: str, **values: object) -> str:
        """The text of ``key`` with ``{name}`` placeholders filled. KeyError where no language has the key."""
        text = self._table.get(key)
        if text is None:
            text = self._fallback[key]
        return text.format(**values) if values else text

    def has(self, key: str) -> bool:
        """Whether any language defines ``key``; for keys made at run time (job kinds, error codes)."""
        return key in self._table or key in self._fallback

    def of(self, prefix: str, name: str) -> str:
        """The text of ``prefix.name``, or ``name`` itself where it is not a known word."""
        key = f"{prefix}.{name}"
        return self(key) if self.has(key) else name

    def error(self, error: StudioError) -> tuple[str, str]:
        """(what is wrong, what to do) of a StudioError. The kind of error is in this language; the particulars
        are in the words of the part that raised it."""
        title = self.of("error", error.code)
        message = error.message if self.lang == "en" else f"{title}: {error.message}"
        return message, error.hint


@lru_cache
def load_table(lang: str) -> dict[str, str]:
    """All labels of one language. ValueError where two of its files define one key."""
    table: dict[str, str] = {}
    for path in sorted((I18N_DIR / lang).glob("*.json")):
        labels: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
        if twice := table.keys() & labels.keys():
            raise ValueError(f"{path} defines again: {sorted(twice)}")
        table |= labels
    return table


@lru_cache
def texts(lang: str) -> Texts:
    """The labels of ``lang`` (one of LANGUAGES; anything else is English)."""
    lang = lang if lang in LANGUAGES else "en"
    return Texts(lang, load_table(lang), load_table("en"))


def pick_language(setting: str, cookie: str | None, accept: str | None) -> str:
    """Which language to open in: the person's switch (cookie), then the settings, then the browser's list.

    ``accept`` is an Accept-Language header; qualities are honoured, the first known language of the highest wins.
    """
    for choice in (cookie, setting):
        if choice in LANGUAGES:
            return str(choice)
    ranked: list[tuple[float, int, str]] = []
    for place, part in enumerate((accept or "").split(",")):
        tag, _, quality = part.strip().partition(";q=")
        try:
            weight = float(quality) if quality else 1.0
        except ValueError:
            weight = 0.0
        ranked.append((-weight, place, tag.split("-")[0].lower()))
    for _, _, lang in sorted(ranked):
        if lang in LANGUAGES:
            return lang
    return "en"
