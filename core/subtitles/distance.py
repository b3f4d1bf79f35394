"""How far two texts lie apart, and where."""

import re
import unicodedata
from difflib import SequenceMatcher
from functools import reduce

from core.subtitles.scripts import join, joins_without_space

_TOKEN = re.compile(r"\s+|[^\W_]+|.", re.DOTALL)


def bare(text: str) -> str:
    """`text` without what mending may change freely: case, width of forms, spaces, punctuation."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return "".join(char for char in folded if unicodedata.category(char)[0] in "LNM")


def edit_distance(left: str, right: str) -> int:
    """Insertions, deletions and substitutions between two strings (Levenshtein).

    Bit-parallel: a column of the table is one integer. Myers 1999 in the form of Hyyrö 2003.
    """
    if not left or not right:
        return len(left) + len(right)
    places: dict[str, int] = {}
    for at, char in enumerate(left):
        places[char] = places.get(char, 0) | 1 << at
    full, top = (1 << len(left)) - 1, 1 << (len(left) - 1)
    rises, falls, distance = full, 0, len(left)
    for char in right:
        same = places.get(char, 0)
        across = (((same & rises) + rises) ^ rises) | same
        up, down = falls | (full & ~(across | rises)), rises & across
        distance += bool(up & top) - bool(down & top)
        up, down, straight = up << 1 | 1, down << 1, same | falls
        rises, falls = (down | ~(straight | up)) & full, up & straight & full
    return distance


def normalised_distance(left: str, right: str) -> float:
    """Edits a character of the longer text, of what `bare` leaves; 0 (same) to 1."""
    left, right = bare(left), bare(right)
    return edit_distance(left, right) / max(len(left), len(right), 1)


def longest_runs(source: str, answer: str) -> tuple[str, str]:
    """(most that was added in one place, most that was left out in one place) as words of the answer and the source.

    Words that replace others count by what they are longer or shorter.
    """
    left, right = _words(source), _words(answer)
    added, lost = "", ""
    for _, a, b, c, d in SequenceMatcher(None, [bare(w) for w in left], [bare(w) for w in right], False).get_opcodes():
        if weight(right[c:d]) - weight(left[a:b]) > weight([added]):
            added = reduce(join, right[c:d], "")
        if weight(left[a:b]) - weight(right[c:d]) > weight([lost]):
            lost = reduce(join, left[a:b], "")
    return added, lost


def weight(words: list[str]) -> int:
    """Length of words in letters; a character of Chinese or Japanese says as much as three."""
    return sum(3 if joins_without_space(char) else 1 for char in bare("".join(words)))


def _words(text: str) -> list[str]:
    return [token for token in tokens(text) if bare(token)]


def tokens(text: str) -> list[str]:
    """Words, single Chinese and Japanese characters, marks and spaces, which together are `text`."""
    found = []
    for token in _TOKEN.findall(text):
        start = 0
        for at, char in enumerate(token):
            if joins_without_space(char):
                found += [token[start:at]] * (at > start) + [char]
                start = at + 1
        found += [token[start:]] * (start < len(token))
    return found


def diff(source: str, answer: str) -> list[tuple[str, str]]:
    """What to show beside each other: ("same" | "lost" | "added", text) in reading order."""
    left, right = tokens(source), tokens(answer)
    pieces: list[tuple[str, str]] = []
    for kind, a, b, c, d in SequenceMatcher(None, left, right, False).get_opcodes():
        if kind == "equal":
            pieces.append(("same", "".join(left[a:b])))
            continue
        if b > a:
            pieces.append(("lost", "".join(left[a:b])))
        if d > c:
            pieces.append(("added", "".join(right[c:d])))
    return pieces
