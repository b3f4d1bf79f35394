"""Punctuation, spaces and capitals of a cue's text, by rules that need no model."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from core.subtitles.scripts import (
    SENTENCE_ENDS,
    core_of,
    ends_clause,
    ends_sentence,
    first_letter,
    joins_without_space,
)

_COMMON_ENGLISH = frozenset(["the", "and", "you", "is", "of", "to", "it", "that", "we", "in", "was"])
_SPEECH_MS_PER_MARK = 20_000  # people finish a sentence more often than that
_WIDE = str.maketrans(",.!?;:", "，。！？；：")
_KANA = re.compile(r"[ぁ-ヿ]")
_TIGHT = r"[⺀-ㄯㆠ-䶿一-鿿豈-﫿︰-﹏！-ﾟ]"


@dataclass(frozen=True)
class Style:
    """What holds for a whole file, and steers what is mended in each cue.

    Attributes:
        unpunctuated: sentences have no marks, so pauses stand for them.
        english: the pronoun "i" is a mistake.
        all_caps: capitals mean nothing.
        stop, comma: the marks of the file's script.
    """

    unpunctuated: bool
    english: bool
    all_caps: bool
    stop: str
    comma: str


def style_of(texts: Sequence[str], speech_ms: int) -> Style:
    """The style of a file of these texts, which last `speech_ms` together."""
    text = " ".join(texts)
    marks = sum(char in SENTENCE_ENDS for char in re.sub(r"\d\.\d|\.(?=\S)", "", text))
    words = re.findall(r"[^\W\d_]+", text.lower())
    common = sum(word in _COMMON_ENGLISH for word in words)
    cased = [char for char in text if char.isupper() or char.islower()]
    tight = sum(map(joins_without_space, text))
    stop, comma = ".", ","
    if 2 * tight > sum(char.isalpha() for char in text):
        stop, comma = "。", "、" if _KANA.search(text) else "，"
    elif re.search(r"[\u0900-\u097f]", text):
        stop = "।"
    elif re.search(r"[\u0600-\u06ff]", text):
        comma = "،"
    elif re.search(r"[\u0e00-\u0eff]", text):  # Thai and Lao write neither
        stop, comma = "", ""
    return Style(
        unpunctuated=marks * _SPEECH_MS_PER_MARK < speech_ms,
        english="the" in words and common > 0.08 * len(words),
        all_caps=len(cased) >= 40 and sum(map(str.isupper, cased)) > 0.9 * len(cased),
        stop=stop,
        comma=comma,
    )


def tidy(text: str, style: Style, *, starts_sentence: bool) -> str:
    """`text` with spaces and marks as its script writes them, and capitals where sentences start. Idempotent."""
    text = spaced(_marks(text), style)
    if style.all_caps:
        text = text.lower()
    return _capitals(text, style, starts_sentence)


def close(text: str, mark: str) -> str:
    """`text` with `mark` at its end, inside closing quotes; unchanged if a mark is there already."""
    core = core_of(text)
    if not core or not mark or ends_clause(core) or core[-1] in SENTENCE_ENDS:
        return text
    return core + mark + text[len(core) :]


def spaced(text: str, style: Style) -> str:
    """`text` with the spaces and the width of marks that its script uses. For one source cue, before any are joined."""
    text = " ".join(text.split())
    # Chinese and Japanese: full-width marks, no spaces about them.
    text = re.sub(rf"(?<={_TIGHT}) ?([,!?;:])(?=\s|$|{_TIGHT})", lambda m: m[1].translate(_WIDE), text)
    text = re.sub(rf"(?<={_TIGHT}) ?\.(?=\s|$|{_TIGHT})", "。", text)
    text = re.sub(r" ?([，。、！？；：」』）]) ?", r"\1", text)
    if re.search(rf"{_TIGHT} {_TIGHT}", text):
        # A space for every character comes from a recogniser, a space now and then stands for a comma.
        runs = [len(run) for run in re.findall(rf"{_TIGHT}+", text)]
        mark = "" if len(runs) > 2 * sum(run > 1 for run in runs) else (style.comma if style.comma in "，、" else "，")
        text = re.sub(rf"(?<={_TIGHT}) (?={_TIGHT})", mark, text)
    # Spaced scripts: none before a mark, one behind it.
    text = re.sub(r"(?<=\w) +([,.!?;:])(?=\s|$|[\"'”’)])", r"\1", text)
    text = re.sub(r"(?<=[^\W\d_])([,;!?])(?=[^\W\d_])", _with_space, text)
    return re.sub(r"(?<=[a-zà-ÿ]{2})\.(?=[A-ZÀ-Þ][a-zà-ÿ])", ". ", text)


def _with_space(found: re.Match[str]) -> str:
    following = found.string[found.end()]
    return found[1] if joins_without_space(following) else f"{found[1]} "


def _marks(text: str) -> str:
    text = re.sub(r"([,，、;；])(?: ?\1)+", r"\1", text)
    return re.sub(r"[,，、;；] ?([.!?。！？])", r"\1", text)


def _capitals(text: str, style: Style, starts_sentence: bool) -> str:
    if style.english:
        text = re.sub(r"(?<![\w.'’-])i(?=$|[\s,;:!?]|['’](?:m|ve|ll|d|s)\b)", "I", text)
    starts = [0] if starts_sentence else []
    for found in re.finditer(r"[.!?…][\"'”’)\]]* ", text):
        if ends_sentence(text[: found.end()].rstrip(), text[found.end() :]) or found[0][0] in "!?":
            starts.append(found.end())
    for start in starts:
        text = _capital(text, start)
    return text


def _capital(text: str, start: int) -> str:
    """A capital for the first word from `start`, unless it has its own way ("iPhone", an address)."""
    if not first_letter(text[start:]).islower():
        return text
    at = next(at for at in range(start, len(text)) if text[at].isalpha())
    word = text[at:].split(" ", 1)[0]
    if any(char.isupper() for char in word) or re.search(r"\w[.@/]\w", word) or len(text[at].upper()) > 1:
        return text
    return text[:at] + text[at].upper() + text[at + 1 :]
