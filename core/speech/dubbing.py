"""Subtitles said at their times."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.errors import BadInput
from core.speech import sentences
from core.speech.stretch import faster

Sound = np.ndarray[Any, np.dtype[np.float32]]


@dataclass(frozen=True)
class Line:
    """What is said, and when: from `start_ms` to `end_ms` of the recording."""

    text: str
    start_ms: int = 0
    end_ms: int = 0


def lines_of(path: str) -> list[Line]:
    """The cues of a subtitle file that hold something to say. Raises BadInput."""
    from core.subtitles.parse import read

    cues = sorted(read(path).cues, key=lambda cue: cue.start_ms)
    lines = [Line(cue.text, cue.start_ms, cue.end_ms) for cue in cues if sentences.speakable(sentences.clean(cue.text))]
    if not lines:
        raise BadInput("There is nothing to say in these subtitles.", "Check that it is the right file.", where=path)
    if sum(len(line.text) for line in lines) > sentences.MAX_CHARS:
        raise BadInput(f"The subtitles hold more than {sentences.MAX_CHARS:,} characters.", "Split them.", where=path)
    return lines


def placed(lines: Sequence[Line], parts: Sequence[Sound], rate_hz: int, max_speed: float, notes: list[str]) -> Sound:
    """The parts at their lines' times in one recording [n].

    A part may run on until the next line starts; one that is longer is sped up to fit, by `max_speed` at the most,
    and what then is still too long starts the next line late. `notes` gets a sentence for each line that is late.
    """
    placed_parts: list[tuple[int, Sound]] = []
    free = 0
    for number, (line, part) in enumerate(zip(lines, parts, strict=True), start=1):
        start = max(free, line.start_ms * rate_hz // 1000)
        following = lines[number].start_ms if number < len(lines) else max(line.end_ms, line.start_ms)
        room = following * rate_hz // 1000 - start
        if part.size > room > 0:
            part = faster(part, min(max_speed, part.size / room), rate_hz)
        late_ms = round(1000 * start / rate_hz) - line.start_ms
        if late_ms > 20:
            notes.append(f"Cue {number} starts {late_ms / 1000:.1f} s late: what is said before it is too long.")
        placed_parts.append((start, part))
        free = start + part.size
    audio = np.zeros(free, np.float32)
    for start, part in placed_parts:
        audio[start : start + part.size] = part
    return audio
