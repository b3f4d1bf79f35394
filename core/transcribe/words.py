"""Words with times, and how they become sentence-level cues."""

from collections.abc import Sequence
from dataclasses import dataclass

from core.subtitles.cue import Cue
from core.subtitles.partition import Boundary, Lengths, partition
from core.subtitles.scripts import ends_clause, ends_sentence
from core.subtitles.tidy import style_of

_BRIDGE_MS = 2500  # a silence this long ends a cue, whatever the text says
_MAX_S_SHARE = 0.8  # of the longest cue: what a sentence that must be broken is broken into


@dataclass(frozen=True)
class Word:
    """A word as a recogniser hears it.

    Attributes:
        text: with a space before it where its script puts one, so that texts joined together are the sentence.
        start_s, end_s: seconds from the start of the audio.
        probability: how sure the recogniser is, 0..1.
    """

    text: str
    start_s: float
    end_s: float
    probability: float = 1.0


def cues_of(words: Sequence[Word], *, pause_ms: int = 500, limit_s: float = 15.0) -> list[Cue]:
    """One cue a sentence; a sentence longer than `limit_s` is cut at its best place, a clause or a pause.

    Where the text has no marks, pauses of `pause_ms` end sentences. Cues are in order and do not overlap.
    """
    words = [word for word in words if word.text.strip()]
    if not words:
        return []
    spans: list[tuple[int, int]] = []
    for word in words:
        start_ms = max(round(1000 * word.start_s), spans[-1][1] if spans else 0)
        spans.append((start_ms, max(start_ms + 1, round(1000 * word.end_s))))
    style = style_of(["".join(word.text for word in words)], sum(end - start for start, end in spans))
    boundaries = []
    for at, word in enumerate(words[:-1]):
        gap_ms = spans[at + 1][0] - spans[at][1]
        # A title such as "Dr." is told by the word after it.
        whole = ends_sentence(word.text.strip(), words[at + 1].text.strip())
        pause = gap_ms >= pause_ms
        cost = 100.0 if pause else 150.0 if ends_clause(word.text) else 190.0 - 30.0 * max(0, gap_ms) / pause_ms
        must = whole or gap_ms > _BRIDGE_MS or (pause and style.unpunctuated)
        boundaries.append(Boundary(cost, must))
    lengths = Lengths(0.0, 1000 * limit_s * _MAX_S_SHARE, 1000 * limit_s)
    cues: list[Cue] = []
    for first, last in partition(spans, boundaries, lengths):
        text = " ".join("".join(word.text for word in words[first : last + 1]).split())
        cues.append(Cue(spans[first][0], spans[last][1], text, len(cues) + 1))
    return cues
