"""Subtitle files into cues: SRT, WebVTT, ASS, in any encoding that they come in.

The rule: where the meaning is clear a cue is made, with a finding if the file was not plain; where it is not clear
the finding quotes what was there. Nothing is dropped without a word, and no content raises an error.
"""

import re
from pathlib import Path

from core.errors import BadInput
from core.subtitles import ass, srt, vtt
from core.subtitles.cue import Format, Parsed
from core.subtitles.encoding import decode
from core.subtitles.lines import Notes, settle, split_lines
from core.subtitles.rolling import unroll

MOST_BYTES = 32 << 20
"""Larger files are no subtitles: a day of speech is 3 MB."""


def parse(data: bytes, *, duration_ms: int | None = None, encoding: str | None = None) -> Parsed:
    """Read subtitles. Never raises, whatever `data` holds.

    `duration_ms`: length of the audio, to find cues past its end. `encoding`: where the person knows better.
    """
    text, used, doubt = decode(data, encoding)
    return parse_text(text, duration_ms=duration_ms, encoding=used, doubt=doubt)


def parse_text(
    text: str, *, duration_ms: int | None = None, encoding: str = "utf-8", doubt: str = "", paragraphs: bool = True
) -> Parsed:
    """`parse` for what is text already.

    `paragraphs` False reads strictly: an SRT cue ends at an empty line, and lines that repeat are meant.
    """
    notes = Notes()
    if doubt:
        notes.add(None, "encoding", doubt)
    lines = split_lines(text)
    kind = format_of(lines)
    if kind == "srt":
        raws = srt.read(lines, notes, paragraphs=paragraphs)
    else:
        raws = (vtt if kind == "vtt" else ass).read(lines, notes)
    cues, findings = settle(unroll(raws, notes) if paragraphs else raws, notes, duration_ms)
    return Parsed(cues, findings, kind, encoding)


def format_of(lines: list[str]) -> Format:
    """How a file is written, by its first lines; SRT where nothing says otherwise."""
    head = [line.strip("\ufeff \t") for line in lines[:200]]
    first = next((line for line in head if line), "")
    if re.match(r"WEBVTT(\s|$)", first):
        return "vtt"
    if re.match(r"\[(script info|events|v4\+? styles)\]", first, re.IGNORECASE):
        return "ass"
    if any(re.match(r"Dialogue: ?[^,]{0,20},\d+:\d\d:\d\d", line) for line in head):
        return "ass"
    return "srt"


def read(path: str | Path, *, duration_ms: int | None = None, encoding: str | None = None) -> Parsed:
    """Read a file of subtitles; see `parse`. Raises BadInput: not there, no file, not readable, too large, empty."""
    file = Path(path)
    hint = "Choose an SRT, WebVTT or ASS file."
    if not file.is_file():
        raise BadInput(f"There is no file {file}.", hint, where=str(file))
    try:
        size = file.stat().st_size
        if size > MOST_BYTES:
            raise BadInput(f"{file.name} is too large for subtitles ({size >> 20} MB).", hint, where=str(file))
        data = file.read_bytes()
    except OSError as err:
        raise BadInput(
            f"{file.name} cannot be read: {err.strerror}.", "Check its permissions.", where=str(file)
        ) from err
    if not data.strip():
        raise BadInput(f"{file.name} is empty.", hint, where=str(file))
    return parse(data, duration_ms=duration_ms, encoding=encoding)
