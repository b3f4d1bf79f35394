"""Cues as files."""

from collections.abc import Iterable

from core.subtitles.cue import Cue
from core.subtitles.timecode import clock


def to_srt(cues: Iterable[Cue]) -> str:
    """SubRip text: numbered from 1, times to the millisecond, `\\n` line ends.

    Reading it gives the same times and texts. SRT has no escapes, so a text that itself reads as a line of times
    is the exception.
    """
    blocks = [
        f"{number}\n{clock(cue.start_ms)} --> {clock(cue.end_ms)}\n{_line(cue.text)}\n"
        for number, cue in enumerate(cues, start=1)
    ]
    return "\n".join(blocks)


def to_vtt(cues: Iterable[Cue]) -> str:
    """WebVTT text, speakers as voices."""
    blocks = ["WEBVTT\n"]
    for cue in cues:
        voice = f"<v {_escape(cue.speaker)}>" if cue.speaker else ""
        times = f"{clock(cue.start_ms, '.')} --> {clock(cue.end_ms, '.')}"
        blocks.append(f"{times}\n{voice}{_escape(_line(cue.text))}\n")
    return "\n".join(blocks)


def _line(text: str) -> str:
    return " ".join(text.split())


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
