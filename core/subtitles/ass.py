"""Advanced SubStation Alpha and its predecessor SSA: the Dialogue lines of [Events]."""

import re

from core.subtitles.lines import Notes, Raw, quote

_FIELDS: tuple[str, ...] = ("layer", "start", "end", "style", "name", "marginl", "marginr", "marginv", "effect", "text")
_TIME = re.compile(r"(\d{1,4}):(\d{1,2}):(\d{1,2})(?:[.,:](\d{1,3}))?")
_OVERRIDE = re.compile(r"\{[^{}]*\}")
_DRAWING = re.compile(r"\{[^{}]*\\p[1-9][^{}]*\}")


def read(lines: list[str], notes: Notes) -> list[Raw]:
    """Cues of an ASS file's lines. The layout of styles and scripts is nothing to listen to and is passed over."""
    fields, cues, comments, drawings = _FIELDS, [], 0, 0
    in_events = not any(line.strip().lower() == "[events]" for line in lines)
    for number, line in enumerate(lines, start=1):
        text = line.strip("\ufeff \t\x00")
        kind, colon, value = text.partition(":")
        kind = kind.strip().lower()
        if text.startswith("[") and text.endswith("]"):
            in_events = text.lower() == "[events]"
        elif kind == "dialogue" and colon:
            if _DRAWING.search(value):
                drawings += 1
            else:
                cue = _dialogue(value, fields, number, notes)
                if cue is not None:
                    cues.append(cue)
        elif not in_events or not text or text.startswith((";", "!:")):
            continue
        elif kind == "format" and colon:
            named = tuple(field.strip().lower() for field in value.split(","))
            if {"start", "end", "text"} <= set(named) and named[-1] == "text":
                fields = named
            else:
                notes.add(number, "bad_format", f"{quote(text)} does not name Start, End and last Text; not used.")
        elif kind == "comment" and colon:
            comments += 1
        elif kind not in ("picture", "sound", "movie", "command"):
            notes.add(number, "stray_text", f"{quote(text)} belongs to no cue.")
    for count, what in ((comments, "comments"), (drawings, "drawings")):
        if count:
            notes.add(None, what, f"{count} {what} are no cues and were left out.")
    return cues


def _dialogue(value: str, fields: tuple[str, ...], number: int, notes: Notes) -> Raw | None:
    parts = value.split(",", len(fields) - 1)
    if len(parts) < len(fields):
        notes.add(number, "bad_line", f"{quote(value.strip())} has too few fields. No cue was made of it.")
        return None
    row = dict(zip(fields, parts, strict=True))
    start_ms, end_ms = _milliseconds(row["start"]), _milliseconds(row["end"])
    text = _plain(row["text"])
    if start_ms is None or end_ms is None:
        times = quote(f"{row['start'].strip()}, {row['end'].strip()}")
        notes.add(number, "bad_time", f"{times}: its times cannot be read. No cue was made of {quote(text)}.")
        return None
    return Raw(number, start_ms, end_ms, text, None, row.get("name", row.get("actor", "")).strip())


def _plain(text: str) -> str:
    bare = _OVERRIDE.sub("", text)
    return bare.replace("\\N", " ").replace("\\n", " ").replace("\\h", " ")


def _milliseconds(text: str) -> int | None:
    """`0:01:02.34` -> 62340; the fraction is decimal, in hundredths as a rule."""
    found = _TIME.fullmatch(text.strip())
    if found is None or int(found[2]) > 59 or int(found[3]) > 59:
        return None
    return (int(found[1]) * 3600 + int(found[2]) * 60 + int(found[3])) * 1000 + int((found[4] or "0").ljust(3, "0"))
