"""Rolling captions: live and automatic ones show the line before once more above each new line."""

from dataclasses import replace
from itertools import pairwise

from core.subtitles.lines import Notes, Raw
from core.subtitles.scripts import joins_without_space

_ADJACENT_MS = 100
_LEAST_PAIRS, _LEAST_SHARE = 4, 0.5
_LEAST_CHARS, _MOST_CHARS = 4, 300


def unroll(raws: list[Raw], notes: Notes) -> list[Raw]:
    """Cues with each line once, where a file rolls; others are returned as they are.

    A file rolls if at least half of its cues that follow another without a gap begin with what that one ends with:
    people repeat themselves, but not so.
    """
    pairs = [
        _repeated(before.text, cue.text) if abs(cue.start_ms - before.end_ms) <= _ADJACENT_MS else -1
        for before, cue in pairwise(raws)
    ]
    rolled, adjacent = sum(n > 0 for n in pairs), sum(n >= 0 for n in pairs)
    if rolled < max(_LEAST_PAIRS, _LEAST_SHARE * adjacent):
        return raws
    notes.add(None, "rolling", f"The captions roll: {rolled} cues repeat the line before them; it was kept once.")
    kept = [raws[0]]
    for cue, repeated in zip(raws[1:], pairs, strict=True):
        text = cue.text[max(0, repeated) :].strip()
        if text or not cue.text:
            kept.append(replace(cue, text=text))
    return kept


def _repeated(before: str, text: str) -> int:
    """How many characters at the start of `text` stand at the end of `before`, whole words."""
    for size in range(min(len(before), len(text), _MOST_CHARS), _LEAST_CHARS - 1, -1):
        whole = size == len(text) or text[size] == " " or joins_without_space(text[size])
        if whole and before.endswith(text[:size]):
            return size
    return 0
