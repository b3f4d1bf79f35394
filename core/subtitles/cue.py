"""What subtitles are made of: cues, and what was odd about them."""

from dataclasses import dataclass
from typing import Literal

Format = Literal["srt", "vtt", "ass"]


@dataclass(frozen=True)
class Cue:
    """One subtitle.

    What the parser and the merger return has 0 <= start_ms < end_ms and text of one line that is not empty.

    Attributes:
        start_ms, end_ms: from the start of the audio, exactly as the file says.
        text: one line, without markup.
        index: the number that the file gives it; None where it gives none.
        speaker: who speaks, where the file says so (WebVTT voices, ASS names).
    """

    start_ms: int
    end_ms: int
    text: str
    index: int | None = None
    speaker: str = ""

    @property
    def duration_ms(self) -> int:
        """Length in milliseconds."""
        return self.end_ms - self.start_ms


@dataclass(frozen=True)
class Finding:
    """Something that a person should know about a file of subtitles.

    Attributes:
        line: line of the file, from 1; None where it concerns the whole file.
        cue: position, from 0, in the list of cues that the finding came with; None where no cue was made of it.
        code: a short name that a page can sort by.
        message: what was found, and what was done about it.
    """

    line: int | None
    cue: int | None
    code: str
    message: str


@dataclass(frozen=True)
class Parsed:
    """A file of subtitles as it was understood.

    Attributes:
        cues: in order of their start.
        findings: everything that was not plain; text that became no cue is quoted here.
        format: how the file is written.
        encoding: Python's name of its encoding.
    """

    cues: list[Cue]
    findings: list[Finding]
    format: Format
    encoding: str
