"""What recognisers get wrong and rules can mend: names and terms by a glossary, loops, stutters, sounds in brackets.

Nothing is changed unseen: every change comes back as a sentence.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from core.errors import BadInput
from core.subtitles.distance import bare, edit_distance
from core.subtitles.scripts import is_speech, joins_without_space

_WORD = re.compile(r"[^\W_]+(?:[-'’][^\W_]+)*")
_PAIR = re.compile(r"^(.+?)\s*(?:=>|->|→|=)\s*(.+)$")
_SOUND = re.compile(r" ?(?:\[[^\]]{1,40}\]|【[^】]{1,40}】|♪[^♪]{0,200}♪|♪) ?")
_LOOP = re.compile(
    r"(?<![a-zà-ÿ])([^\W\d_](?:[^.!?。！？\d]{0,60}?[^\W\d_])?)(?:[\s,.!?，。！？、]{0,3}\1){4,}(?![a-zà-ÿ])",
    re.IGNORECASE,
)
# Said twice in a row these are slips of the tongue; others ("very very", "no no", "that that") may be meant.
_SLIPS = frozenset(
    "the a an i we you he she they it to of in on at and or but for with my your is are was".split()  # noqa: SIM905
)
_SLIP = re.compile(r"(?<![\w'’-])([a-z]+)((?:[,…-]* \1)+)(?![\w'’-])", re.IGNORECASE)
_MADE_UP = re.compile(
    r"thanks? (you )?(so much |very much )?for (watching|listening|viewing)|please (like and )?subscribe"
    r"|(like|share) and subscribe|see you (in the )?next (time|video)|subtitles? (by|provided by|created by)\b"
    r"|sous-titres?|untertitel (von|der|im)|sottotitoli|amara\.?org|字幕(由|志愿者|by|组)|请不吝点赞"
    r"|(感谢|谢谢)(观看|收看|收听|大家)|ご視聴(いただき)?ありがとう|チャンネル登録|시청해 ?주셔서|구독",
    re.IGNORECASE,
)
_MOST_BYTES = 1 << 20
_LEAST_FUZZY = 5  # letters: shorter terms are mended in case only
_SHARE = 0.25  # of the letters of a term may differ where it sounds alike, 0.15 where it does not
_SHARE_UNLIKE = 0.15
_SOUNDS = (
    ("ph", "f"), ("gh", "g"), ("ck", "k"), ("qu", "k"), ("sch", "s"), ("sh", "s"), ("th", "t"), ("wh", "w"),
    ("c", "k"), ("q", "k"), ("z", "s"), ("x", "ks"), ("v", "f"), ("w", "f"), ("j", "g"), ("d", "t"), ("b", "p"),
)  # fmt: skip


@dataclass(frozen=True)
class Glossary:
    """How words are spelled: `terms`, and `pairs` of what is wrong and what is right."""

    terms: tuple[str, ...] = ()
    pairs: tuple[tuple[str, str], ...] = ()


def parse_glossary(lines: Sequence[str]) -> Glossary:
    """Lines of a term as it is to be, or `wrong = right`; those that are empty or begin with # say nothing."""
    terms, pairs = [], []
    for line in lines:
        entry = " ".join(line.replace("\ufeff", "").split())
        if not entry or entry.startswith("#"):
            continue
        found = _PAIR.match(entry)
        if found:
            pairs.append((found[1], found[2]))
        terms.append(found[2] if found else entry)
    return Glossary(tuple(dict.fromkeys(terms)), tuple(pairs))


def read_glossary(path: Path) -> list[str]:
    """The lines of a file for `parse_glossary`, in any encoding. Raises BadInput."""
    from core.subtitles.encoding import decode

    try:
        if path.stat().st_size > _MOST_BYTES:
            raise BadInput(f"{path.name} is too large for a glossary.", "One term a line is enough.", where=str(path))
        return [line for line in decode(path.read_bytes())[0].splitlines() if line.strip()]
    except OSError as err:
        raise BadInput(f"{path} cannot be read: {err.strerror}.", "Name a text file.", where=str(path)) from err


def mend(text: str, glossary: Glossary | None = None) -> tuple[str, list[str]]:
    """(`text` without what a recogniser added, with the terms of the glossary, a sentence for each change)."""
    told: list[str] = []
    if is_speech(text):
        text = _replaced(_SOUND, " ", text, "a sound", told).strip()
    text = _replaced(_LOOP, r"\1", text, "a loop", told).strip()
    text = _SLIP.sub(lambda found: _slip(found, told), text)
    for wrong, right in glossary.pairs if glossary else ():
        edges = ("", "") if joins_without_space(wrong[0]) else (r"(?<![^\W_])", r"(?![^\W_])")
        pattern = re.compile(edges[0] + re.escape(wrong) + edges[1], re.IGNORECASE)
        text = pattern.sub(lambda found, right=right: _term(found[0], right, told), text)  # type: ignore[misc]
    known = {bare(term) for term in glossary.terms} if glossary else set()
    for term in glossary.terms if glossary else ():
        text = _tight(text, term, told) if joins_without_space(term[0]) else _fuzzy(text, term, known, told)
    return text, told


def made_up(text: str) -> bool:
    """Whether `text` is of the kind that recognisers write where nobody speaks; people say such things, too."""
    return bool(_MADE_UP.search(text))


def is_sound(text: str) -> bool:
    """Whether `text` is only what describes a sound: [Music], ♪."""
    return bool(_SOUND.search(text)) and not is_speech(text)


def repeats(texts: Sequence[str]) -> set[int]:
    """Positions of texts that stand three or more times in a row: all but the first of each row."""
    found: set[int] = set()
    start = 0
    for at in range(1, len(texts) + 1):
        if at == len(texts) or bare(texts[at]) != bare(texts[start]):
            if at - start >= 3 and bare(texts[start]):
                found |= set(range(start + 1, at))
            start = at
    return found


def _replaced(pattern: re.Pattern[str], by: str, text: str, what: str, told: list[str]) -> str:
    changed = pattern.sub(by, text)
    if changed != text:
        told += [f"Left out {what}: “{found[0].strip()}”." for found in pattern.finditer(text)]
    return changed


def _slip(found: re.Match[str], told: list[str]) -> str:
    if found[1].lower() not in _SLIPS:
        return found[0]
    told.append(f"Left out a repeated word: “{found[0]}”.")
    return found[1]


def _term(was: str, term: str, told: list[str]) -> str:
    if was != term:
        told.append(f"By the glossary: “{was}” is now “{term}”.")
    return term


def _tight(text: str, term: str, told: list[str]) -> str:
    """A term of Chinese or Japanese, with spaces in it or in another width or case."""
    pattern = re.compile(r"\s*".join(map(re.escape, term)), re.IGNORECASE)
    return pattern.sub(lambda found: _term(found[0], term, told), text)


def _fuzzy(text: str, term: str, known: set[str], told: list[str]) -> str:
    """A term among words: the same letters in another case, split or joined, or nearly the same that sound alike."""
    wanted = bare(term)
    if not wanted:
        return text
    size, n_words = len(wanted), len(_WORD.findall(term))
    words = list(_WORD.finditer(text))
    at, made, done = 0, "", 0
    while at < len(words):
        for n in sorted({n_words, n_words + 1, max(1, n_words - 1)}, key=lambda n: abs(n - n_words)):
            if at + n > len(words):
                continue
            start, end = words[at].start(), words[at + n - 1].end()
            was = text[start:end]
            if "'" in was[-3:] or "’" in was[-3:]:  # "Timbre's": the term is what comes before
                end -= len(was) - max(was.rfind("'"), was.rfind("’"))
                was = text[start:end]
            if re.search(r"[.,;:!?]\s", was) or abs(len(bare(was)) - size) > max(1.0, _SHARE * size):
                continue
            if bare(was) == wanted or (bare(was) not in known and _alike(bare(was), wanted, whole=n == n_words)):
                made += text[done:start] + _term(was, term, told)
                done, at = end, at + n - 1
                break
        at += 1
    return made + text[done:]


def _alike(word: str, term: str, *, whole: bool) -> bool:
    """Whether a word may be a term that was misheard; both as `bare` leaves them. `whole`: word for word."""
    if len(term) < _LEAST_FUZZY or word in (term + "s", term + "es") or term in (word + "s", word + "es"):
        return False  # a plural is a word of its own
    same_sound = _sound(word) == _sound(term)
    if same_sound and sorted(word) == sorted(term):
        return True
    share = _SHARE if same_sound and whole else _SHARE_UNLIKE
    return (same_sound or word[0] == term[0]) and edit_distance(word, term) <= share * len(term)


@lru_cache(maxsize=4096)
def _sound(word: str) -> str:
    """What is left of a word where spellings of one sound are one: its first sound and the consonants after it."""
    for letters, sound in _SOUNDS:
        word = word.replace(letters, sound)
    consonants = re.sub(r"[aeiouyhàâäáãåèéêëìíîïòóôöõøùúûü]", "", word[1:])
    return re.sub(r"(.)\1+", r"\1", ("a" if word[:1] in "aeiouy" else word[:1]) + consonants)
