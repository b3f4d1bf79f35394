"""What writing systems do at the end of a sentence and between words."""

import re
import unicodedata

SENTENCE_ENDS = frozenset(".!?…‥。．｡！？‼⁇⁈⁉؟۔।॥։።፧။។៕჻")
"""Marks that end a sentence: Latin, CJK, Arabic, Urdu, Devanagari, Armenian, Ethiopic, Burmese, Khmer, Georgian."""
CLAUSE_MARKS = frozenset(",;:，、､；：،؛፣፤፥၊՝–—-~～")
"""Marks that a clause may end with, but a sentence does not."""
CLOSERS = frozenset("\"'”’»›)]}）】〕〉》」』］｝＂＇♪")
"""Marks that may follow the one that ends a sentence."""
_ELLIPSIS = ("…", "‥", "...", "。。。", "．．．")
# Words whose dot ends no sentence; those of the second kind may stand last in one.
_TITLES = re.compile(r"mr|mrs|ms|dr|prof|sr|jr|st|mt|vs|cf|fig|vol|gen|col|lt|sgt|capt|rev|hon|gov|sen|rep|approx")
_MAY_END = re.compile(r"etc|inc|ltd|co|corp|dept|al|usw|[ap]\.m|u\.[sk]|z\.b|d\.h|u\.a|e\.g|i\.e")


def joins_without_space(char: str) -> bool:
    """True for characters of scripts that put no space between words: Han, kana, bopomofo, and their marks."""
    code = ord(char)
    return (
        0x2E80 <= code <= 0x312F  # radicals, CJK marks, kana, bopomofo
        or 0x31A0 <= code <= 0x4DBF  # more kana and marks, extension A
        or 0x4E00 <= code <= 0x9FFF
        or 0xF900 <= code <= 0xFAFF
        or 0xFE30 <= code <= 0xFE4F
        or 0xFF00 <= code <= 0xFF9F  # full-width forms, half-width kana
        or 0x20000 <= code <= 0x3FFFF
    )


def join(left: str, right: str) -> str:
    """Two pieces of running text as one: with a space, but none between characters of Chinese or Japanese."""
    if not left or not right:
        return left or right
    tight = joins_without_space(left[-1]) and joins_without_space(right[0])
    return left + right if tight else f"{left} {right}"


def one_line(lines: list[str]) -> str:
    """Lines of one subtitle as one line."""
    text = ""
    for line in lines:
        text = join(text, " ".join(line.split()))
    return text


def core_of(text: str) -> str:
    """`text` without what may follow its last mark: closing quotes, brackets, spaces."""
    end = len(text)
    while end and (text[end - 1] in CLOSERS or text[end - 1].isspace()):
        end -= 1
    return text[:end]


def ends_sentence(text: str, following: str = "") -> bool:
    """Whether `text` ends with a finished sentence, given the text that follows it (empty: unknown).

    An abbreviation or an initial ends none; dots that trail off end one unless the next text goes on in small letters.
    """
    core = core_of(text)
    if not core or core[-1] not in SENTENCE_ENDS:
        return False
    starts_small = bool(following) and first_letter(following).islower()
    if core.endswith(_ELLIPSIS):
        return not starts_small
    if core[-1] != "." or not following:
        return True
    word = re.split(r"[\s(\[\"'“‘]", core[:-1])[-1].lower()
    if _TITLES.fullmatch(word) or re.fullmatch(
        r"[b-hj-zà-ÿ]", word
    ):  # "Mr.", the initial of a name; "I." ends a sentence
        return False
    return _MAY_END.fullmatch(word) is None or first_letter(following).isupper()


def ends_clause(text: str) -> bool:
    """Whether `text` ends with a comma, a semicolon, a colon or a dash."""
    core = core_of(text)
    return bool(core) and core[-1] in CLAUSE_MARKS


def first_letter(text: str) -> str:
    """The first letter of `text`; empty if a digit comes first or there is none."""
    for char in text:
        if char.isalnum():
            return char if char.isalpha() else ""
    return ""


def is_speech(text: str) -> bool:
    """False for what only describes a sound: `[music]`, `（笑い）`, notes of music, nothing but marks."""
    bare = re.sub(r"\[[^\]]*\]|\([^)]*\)|（[^）]*）|【[^】]*】|［[^］]*］|\*[^*]*\*|♪[^♪]*♪", " ", text)
    return any(unicodedata.category(char)[0] in "LN" for char in bare)
