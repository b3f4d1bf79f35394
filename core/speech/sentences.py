"""Texts cut into sentences that a model says in one breath, also while the text is still arriving.

However a text is cut into pieces on its way in, the sentences are the same: a cut is decided only when enough of
what follows has been seen.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from core.errors import BadInput

MAX_CHARS = 100_000
"""Longest text of one request: about two hours of speech."""

MIN_WEIGHT = 20
_CJK_WEIGHT = 3  # a Chinese character is spoken in about the time of three Latin letters
_MARKS = r".!?…。！？；｡．"
_CLOSERS = r"\"'”’»)\]」』）】》"
_BOUNDARY = re.compile(rf"(?P<marks>[{_MARKS}]+)[{_CLOSERS}]*|(?P<paragraph>\n[^\S\n]*\n)")
_SOFT = re.compile(r"[,;:、，：;)\]）—–]\s*|\s+")
_WIDE_MARKS = frozenset("。！？；｡．")
_ABBREVIATIONS = re.compile(
    r"(mr|mrs|ms|dr|prof|sr|jr|st|vs|no|fig|vol|pp|approx|dept|est|gen|col|sgt|capt|rev|hon|e\.g|i\.e)", re.IGNORECASE
)


@dataclass(frozen=True)
class Sentence:
    """What is said at once. `paragraph` is True if a paragraph ends with it."""

    text: str
    paragraph: bool = False


def clean(text: str) -> str:
    """Text as a model can take it: composed Unicode, one space where there was any white space, no control
    characters, no emoji and other pictures (they have no sound)."""
    composed = unicodedata.normalize("NFC", text)
    kept = ["" if _soundless(char) else (" " if char.isspace() else char) for char in composed]
    return re.sub(r" +", " ", "".join(kept)).strip()


def _soundless(char: str) -> bool:
    kind = unicodedata.category(char)
    # Cf holds joiners and directions, Co and Cn private and unassigned code points, So and Sk pictures and skin tones.
    return (kind in ("Cc", "Cf", "Co", "Cn", "Cs", "So", "Sk") and not char.isspace()) or char in "\ufe0e\ufe0f\u20e3"


def speakable(text: str) -> bool:
    """True if there is a letter or a number in it."""
    return any(unicodedata.category(char)[0] in "LN" for char in text)


def weight(text: str) -> int:
    """Length in Latin letters; a Chinese, Japanese or Korean character counts three."""
    return sum(_CJK_WEIGHT if char >= "\u2e80" else 1 for char in text)


def split(text: str, max_weight: int = 240) -> list[Sentence]:
    """The sentences of a whole text.

    Raises BadInput for a text without anything to say and for one of more than `MAX_CHARS` characters.
    """
    if len(text) > MAX_CHARS:
        raise BadInput(
            f"The text has {len(text):,} characters; {MAX_CHARS:,} are said in one request.",
            "Split it into parts, for example by chapter.",
            where="text",
        )
    if not speakable(clean(text)):
        what = "holds no letters or numbers" if text.strip() else "is empty"
        raise BadInput(f"There is nothing to say: the text {what}.", "Write what should be said.", where="text")
    return [sentence for sentence, _ in stream([text], max_weight)]


def stream(pieces: Iterable[str], max_weight: int = 240) -> Iterator[tuple[Sentence, bool]]:
    """Sentences of a text that arrives in pieces, each as soon as it is known, with whether it is the last.

    Where the text ends exactly with a sentence that was handed out before, none is marked as the last.
    """
    splitter = Splitter(max_weight)
    for piece in pieces:
        for sentence in splitter.feed(piece):
            yield sentence, False
    rest = splitter.finish()
    for number, sentence in enumerate(rest, start=1):
        yield sentence, number == len(rest)


class Splitter:
    """Takes text in pieces, gives sentences."""

    def __init__(self, max_weight: int = 240) -> None:
        self._max_weight = max_weight
        self._buffer = ""  # not looked at yet
        self._held = ""  # sentences too short to stand alone
        self._n_chars = 0

    def feed(self, piece: str) -> list[Sentence]:
        """Sentences that are complete with this piece. Raises BadInput after more than `MAX_CHARS` characters."""
        self._n_chars += len(piece)
        if self._n_chars > MAX_CHARS:
            raise BadInput(
                f"The text has more than {MAX_CHARS:,} characters, the most that one request says.",
                "Split it into parts, for example by chapter.",
                where="text",
            )
        self._buffer += piece
        return self._drain(final=False)

    def finish(self) -> list[Sentence]:
        """What is left."""
        found = self._drain(final=True)
        rest = clean(self._held)
        self._held = ""
        return [*found, Sentence(rest)] if speakable(rest) else found

    def _drain(self, *, final: bool) -> list[Sentence]:
        found = []
        while self._buffer:
            cut = _next_cut(self._buffer, self._max_weight, final=final)
            if cut is None:
                break
            end, paragraph = cut
            text, self._buffer = self._held + self._buffer[:end], self._buffer[end:]
            cleaned = clean(text)
            if weight(cleaned) < MIN_WEIGHT and not paragraph:
                self._held = text
                continue
            self._held = ""
            if speakable(cleaned):
                found.append(Sentence(cleaned, paragraph))
        return found


def _next_cut(text: str, max_weight: int, *, final: bool) -> tuple[int, bool] | None:
    """Where the next piece of `text` ends and whether a paragraph does; None if more must be seen first."""
    limit = _chars_within(text, max_weight)
    for match in _BOUNDARY.finditer(text):
        if match.end() > limit:
            break
        after = text[match.end() :]
        rest = after.lstrip()
        if not rest:
            # What follows decides; at the end of the text nothing does.
            return (len(text), "\n\n" in re.sub(r"[^\S\n]", "", after)) if final else None
        space = after[: len(after) - len(rest)]
        paragraph = match["paragraph"] is not None or space.count("\n") > 1
        if paragraph or _ends(text, match, space, rest[0]):
            return match.end() + len(space), paragraph
    if limit < len(text):
        return _forced(text, limit), False
    return (len(text), False) if final else None


def _chars_within(text: str, max_weight: int) -> int:
    total = 0
    for index, char in enumerate(text):
        total += _CJK_WEIGHT if char >= "\u2e80" else 1
        if total > max_weight:
            return index
    return len(text)


def _ends(text: str, match: re.Match[str], space: str, following: str) -> bool:
    """Whether a mark ends a sentence, given the space after it and what follows."""
    marks = match["marks"]
    if _WIDE_MARKS & set(marks):
        return True
    if not space:
        return False  # 3.14, example.org, "?!" inside a word
    if marks != ".":
        quoted = match.end() > match.end("marks")  # “Is it?” she asked.
        return not (following.islower() and (quoted or marks in ("…", "...")))
    word = re.split(r"[\s(\"'“‘]", text[: match.start()])[-1]
    initial = len(word) == 1 and word.isupper()
    return not (following.islower() or initial or _ABBREVIATIONS.fullmatch(word))


def _forced(text: str, limit: int) -> int:
    """The best place at or before `limit` for a cut inside a sentence that is too long."""
    places = [match.end() for match in _SOFT.finditer(text, 0, limit) if match.end() > limit // 3]
    commas = [end for end in places if not text[:end].rstrip()[-1:].isalnum()]
    return (commas or places or [max(1, limit)])[-1]
