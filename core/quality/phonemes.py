"""Which sounds a set of texts holds, as espeak-ng reads them."""

from collections import Counter
from collections.abc import Iterable

from core.errors import StudioError

VOICES = {"en": "en-us", "zh": "cmn", "ja": "ja", "ko": "ko", "el": "el", "he": "he", "th": "th"}
"""espeak-ng's voice for a language where the two names differ."""

ENGLISH = frozenset({
    "p", "b", "t", "d", "k", "ɡ", "tʃ", "dʒ", "f", "v", "θ", "ð", "s", "z", "ʃ", "ʒ", "h", "m", "n", "ŋ", "l", "ɹ", "w",
    "j", "iː", "ɪ", "ɛ", "æ", "ɑː", "ɔː", "ʊ", "uː", "ʌ", "ə", "ɜː", "eɪ", "aɪ", "ɔɪ", "aʊ", "oʊ",
})  # fmt: skip
"""The sounds of General American in espeak-ng's letters, after Wells, "Accents of English" (1982)."""


def count(texts: Iterable[str], language: str) -> dict[str, int]:
    """Uses of each sound, most used first; empty without a language, or where espeak-ng is not installed or does not
    know it."""
    from core.audio.synthetic import phonemes

    found: Counter[str] = Counter()
    if language:
        try:
            for text in texts:
                found.update(phonemes(text, VOICES.get(language, language)))
        except StudioError:
            return {}
    return dict(found.most_common())


def missing(counts: dict[str, int], language: str) -> list[str]:
    """Sounds of the language that the texts do not hold; known for English only, else empty."""
    return sorted(ENGLISH - set(counts)) if language == "en" and counts else []
