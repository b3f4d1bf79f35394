"""SubRip."""

import re

from core.subtitles.lines import Notes, Raw, read_blocks

_TAG = re.compile(r"</?(?:i|b|u|s|em|strong|font|c|span|ruby|rt)(?:[\s.=][^<>]{0,200})?>", re.IGNORECASE)
_BREAK = re.compile(r"<br ?/?>|\\N|\\h", re.IGNORECASE)
_OVERRIDE = re.compile(r"\{\\[^{}]{1,200}\}")


def read(lines: list[str], notes: Notes, *, paragraphs: bool = True) -> list[Raw]:
    """Cues of an SRT file's lines. See `read_blocks` for `paragraphs`."""
    return read_blocks(lines, notes, clean=_clean, paragraphs=paragraphs)


def _clean(text: str, line: int, notes: Notes) -> tuple[str, str]:
    """Text without the tags that players know; anything else in angle brackets is text."""
    return _OVERRIDE.sub("", _TAG.sub("", _BREAK.sub(" ", text))), ""
