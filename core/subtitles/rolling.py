"""Rolling captions: live and automatic ones show the line before once more above each new line."""

from dataclasses import replace
from itertools import pairwise

from core.subtitles.lines import Notes, Raw
from core.subtitles.scripts import joins_without_space

_ADJACENT_MS = 20
_LEAST_PAIRS, _LEAST_SHARE = 3, 0.3
_LEAST_CHARS, _MOST_CHARS = 4, 300


def unroll(raws: list[Raw], notes: Notes) -> list[Raw]:
    """Cues with each line once, where a file rolls; others are returned as they are.

    A file rolls if three in ten of the cues that follow another without a gap begin with what that one ends with and
    then go on: people repeat themselves, but not so.
    """
    pairs = [
        _repeated(before.text, cue.text) if abs(cue.start_ms - before.end_ms) <= _ADJACENT_MS else -1
        for before, cue in pairwise(raws)
    ]
    adjacent = sum(size >= 0 for size in pairs)
    growing = sum(0 < size < len(cue.text) for size, cue in zip(pairs, raws[1:], strict=True))
    if growing < max(_LEAST_PAIRS, _LEAST_SHARE * adjacent):
        return raws
    rolled = sum(size > 0 for size in pairs)
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
