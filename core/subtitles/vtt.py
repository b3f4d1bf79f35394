"""WebVTT (W3C): header, notes, styles, voices; its cues are read like those of SRT."""

import html
import re

from core.subtitles.lines import Notes, Raw, quote, read_blocks
from core.subtitles.timecode import time_line

_VOICE = re.compile(r"<v(?:\.[^\s<>]{0,100})?\s+([^<>]{1,200})>", re.IGNORECASE)
_TAG = re.compile(r"</?(?:c|i|b|u|v|ruby|rt|lang|\d[\d:.]{4,15})(?:[\s.][^<>]{0,200})?>", re.IGNORECASE)
_BLOCK = re.compile(r"\s*(NOTE|STYLE|REGION)(\s|$)")


def read(lines: list[str], notes: Notes) -> list[Raw]:
    """Cues of a WebVTT file's lines."""
    return read_blocks(_without_blocks(lines, notes), notes, clean=_clean, paragraphs=False, names=True)


def _without_blocks(lines: list[str], notes: Notes) -> list[str]:
    """The lines with header, notes, styles and regions made empty, so that line numbers stay."""
    kept, skipping, fresh, comments = [], True, True, 0
    for number, line in enumerate(lines, start=1):
        empty = not line.strip()
        if fresh and not empty and _BLOCK.match(line):
            skipping = True
            comments += line.strip().startswith("NOTE")
        if empty or time_line(line) is not None:
            skipping = False
        elif skipping and line.strip().startswith("X-TIMESTAMP-MAP"):
            notes.add(number, "timestamp_map", f"{quote(line.strip())} was not applied; times are as written.")
        kept.append("" if skipping else line)
        fresh = empty
    if comments:
        notes.add(None, "comments", f"{comments} notes are no cues and were left out.")
    return kept


def _clean(text: str, line: int, notes: Notes) -> tuple[str, str]:
    speakers = {" ".join(html.unescape(name).split()) for name in _VOICE.findall(text)}
    if len(speakers) > 1:
        notes.add(line, "several_speakers", f"Several people speak in one cue: {', '.join(sorted(speakers))}.")
    bare = html.unescape(_TAG.sub("", _VOICE.sub("", text)))
    return bare, speakers.pop() if len(speakers) == 1 else ""
