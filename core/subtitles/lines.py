"""The common part of SRT and WebVTT: blocks of a time line and text, found by their time lines."""

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field

from core.subtitles.cue import Cue, Finding
from core.subtitles.scripts import one_line
from core.subtitles.timecode import TimeLine, clock, time_line

_QUOTE_CHARS = 200


@dataclass
class Raw:
    """A cue as it stands in the file. `line` is that of its times, from 1."""

    line: int
    start_ms: int
    end_ms: int
    text: str
    index: int | None = None
    speaker: str = ""


@dataclass
class Notes:
    """Findings while a file is read; which cue each belongs to is known at the end."""

    found: list[Finding] = field(default_factory=list)

    def add(self, line: int | None, code: str, message: str) -> None:
        """Note something about a line (None: about the file)."""
        self.found.append(Finding(line, None, code, message))


def quote(text: str) -> str:
    """Text for a message: short, in quotes."""
    return f"“{text[:_QUOTE_CHARS]}…”" if len(text) > _QUOTE_CHARS else f"“{text}”"


def split_lines(text: str) -> list[str]:
    """Lines of any system's ends; `\\r\\r\\n` is what a text-mode copy of CRLF leaves."""
    return text.replace("\r\r\n", "\n").replace("\r\n", "\n").replace("\r", "\n").split("\n")


def read_blocks(
    lines: list[str],
    notes: Notes,
    *,
    clean: Callable[[str, int, Notes], tuple[str, str]],
    paragraphs: bool,
    names: bool = False,
) -> list[Raw]:
    """Cues of `lines`. What lies between two time lines belongs to the first, but for the second's index.

    `clean(text, line, notes)` -> (text without markup, speaker). `paragraphs`: text goes on after an empty line;
    otherwise it is noted as stray. `names`: a line above the times may be any identifier (WebVTT), not only a number.
    """
    times = [(at, found) for at, line in enumerate(lines) if (found := time_line(line)) is not None]
    bodies = [at for at, _ in times] + [len(lines)]
    cues: list[Raw] = []
    previous: int | None = None
    index, stop = _index_above(lines, bodies[0], 0, None, names) if times else (None, len(lines))
    _stray([(at + 1, line) for at, line in enumerate(lines[:stop])], notes, "before the first cue" if times else "")
    without_index: list[int] = []
    for number, (at, found) in enumerate(times):
        mine, previous = index, index if index is not None else (previous or 0) + 1
        following, begin = bodies[number + 1], at + 1
        at_end = following == len(lines)
        index, stop = (None, following) if at_end else _index_above(lines, following, begin, previous, names)
        body = [(row + 1, line) for row, line in enumerate(lines[begin:stop], start=begin)]
        if isinstance(found, str):
            text = one_line([line for _, line in body])
            notes.add(at + 1, "bad_time", f"{quote(lines[at].strip())}: {found}. No cue was made of {quote(text)}.")
            continue
        if mine is None:
            without_index.append(at + 1)
        text = _text(body, found, at + 1, notes, paragraphs)
        text, speaker = clean(text, at + 1, notes)
        if found.odd:
            notes.add(at + 1, "odd_time", f"{quote(lines[at].strip())}: {found.odd}.")
        cues.append(Raw(at + 1, found.start_ms, found.end_ms, text, mine, speaker))
    if not names:
        _missing_indexes(without_index, len(cues), notes)
    return cues


def _index_above(lines: list[str], at: int, begin: int, previous: int | None, names: bool) -> tuple[int | None, int]:
    """(index of the cue whose times are in line `at`, where the text of the cue before ends)."""
    above = lines[at - 1].strip("\ufeff \t") if at > begin else ""
    if not above:
        # An index may stand apart from its times where every line was doubled; its value tells.
        row = at - 1
        while row >= begin and not lines[row].strip():
            row -= 1
        alone = lines[row].strip("\ufeff \t") if row >= begin else ""
        if _number(alone) is not None and _number(alone) == (previous or 0) + 1 and (row > begin or begin == 0):
            return _number(alone), row
        return None, at
    apart = at - 1 == begin or not lines[at - 2].strip()
    number = _number(above)
    if number is not None and (apart or number == (previous or 0) + 1):
        return number, at - 1
    if names and apart and at - 1 > begin:
        return None, at - 1
    return None, at


def _number(text: str) -> int | None:
    return int(text) if text.isdecimal() and len(text) <= 9 else None


def _text(body: list[tuple[int, str]], found: TimeLine, line: int, notes: Notes, paragraphs: bool) -> str:
    pieces = [found.rest] if found.rest and not _is_setting(found.rest) else []
    if pieces:
        notes.add(line, "text_on_time_line", f"{quote(found.rest)} stands behind the times and was taken as text.")
    ended = False
    stray: list[tuple[int, str]] = []
    for row, text in body:
        if not text.strip():
            ended = ended or bool(pieces)
        elif not ended:
            pieces.append(text)
        elif paragraphs:
            notes.add(row, "blank_in_text", f"An empty line stands before {quote(text.strip())}; it was kept as text.")
            pieces.append(text)
            ended = False
        else:
            stray.append((row, text))
    _stray(stray, notes, f"after the cue of line {line}")
    return one_line(pieces)


def _is_setting(rest: str) -> bool:
    """`X1:40 Y1:20` of SRT, `align:start line:0` of WebVTT: where a cue stands on the screen."""
    return all(":" in word and word.split(":", 1)[0].isascii() and word.split(":", 1)[1] for word in rest.split())


def _stray(rows: list[tuple[int, str]], notes: Notes, where: str) -> None:
    """One finding for each run of lines that belong to no cue."""
    run: list[tuple[int, str]] = []
    for row, text in [*rows, (0, "")]:
        if text.strip("\ufeff \t\x00"):
            run.append((row, text))
        elif run:
            said = quote(one_line([text for _, text in run]))
            notes.add(run[0][0], "stray_text", f"{said} belongs to no cue{f' ({where})' if where else ''}.")
            run = []


def _missing_indexes(lines: list[int], n_cues: int, notes: Notes) -> None:
    if lines and len(lines) >= max(2, n_cues // 2):
        notes.add(None, "no_index", f"{len(lines)} cues have no number; they were counted instead.")
    else:
        for line in lines:
            notes.add(line, "no_index", "The cue has no number.")


def settle(raws: list[Raw], notes: Notes, duration_ms: int | None) -> tuple[list[Cue], list[Finding]]:
    """Cues in order of time, and the findings with the cue that each concerns.

    A cue without length or text becomes a finding. `duration_ms`: of the audio, where it is known.
    """
    kept: list[tuple[Raw, Cue]] = []
    latest = -1
    for raw in raws:
        text = _plain(raw, notes)
        times = f"{clock(raw.start_ms)} --> {clock(raw.end_ms)}"
        if raw.end_ms <= raw.start_ms:
            length = "no length" if raw.end_ms == raw.start_ms else "its end before its start"
            notes.add(raw.line, "no_length", f"{times} has {length}. No cue was made of {quote(text)}.")
            continue
        if not text:
            notes.add(raw.line, "empty", f"{times} has no text and was left out.")
            continue
        if raw.start_ms < latest:
            notes.add(raw.line, "out_of_order", f"{times} starts before the cue above it; it was put in its place.")
        latest = max(latest, raw.start_ms)
        kept.append((raw, Cue(raw.start_ms, raw.end_ms, text, raw.index, raw.speaker)))
    kept.sort(key=lambda pair: (pair[1].start_ms, pair[1].end_ms))
    reached = -1
    for raw, cue in kept:
        if cue.start_ms < reached:
            notes.add(raw.line, "overlap", f"The cue starts {reached - cue.start_ms} ms before an earlier one ends.")
        reached = max(reached, cue.end_ms)
        if duration_ms is not None and cue.end_ms > duration_ms:
            what = "begins" if cue.start_ms >= duration_ms else "ends"
            notes.add(raw.line, "past_end", f"The cue {what} after the end of the audio ({clock(duration_ms)}).")
    place = {raw.line: at for at, (raw, _) in enumerate(kept)}
    findings = [
        Finding(one.line, place.get(one.line) if one.line else None, one.code, one.message) for one in notes.found
    ]
    findings.sort(key=lambda one: one.line or 0)
    return [cue for _, cue in kept], findings


def _plain(raw: Raw, notes: Notes) -> str:
    kept = "".join(char for char in raw.text if not _invisible(char))
    if kept != raw.text:
        notes.add(raw.line, "control_characters", "Characters that cannot be seen were taken out of the text.")
    return " ".join(kept.split())


def _invisible(char: str) -> bool:
    return char == "\ufeff" or (unicodedata.category(char) in ("Cc", "Cs") and not char.isspace())
