"""Does a text fit the sound it is said to be? By how fast it would be spoken, and by what a recogniser heard."""

import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_PREFIXES = (
    ("CJK", "han"),
    ("HIRAGANA", "kana"),
    ("KATAKANA", "kana"),
    ("HANGUL", "hangul"),
    ("CYRILLIC", "cyrillic"),
    ("GREEK", "greek"),
    ("ARABIC", "arabic"),
    ("HEBREW", "hebrew"),
    ("DEVANAGARI", "devanagari"),
    ("THAI", "thai"),
    ("LATIN", "latin"),
)
_DIGIT_LETTERS = {"han": 1, "kana": 2, "hangul": 1}
_DIGIT_LETTERS_ELSE = 4
_LATIN_LETTERS = 4  # a digit in a text without any letter


def script_of(char: str) -> str | None:
    """The script of a letter ("latin", "han", "kana", ...), "other" for one not listed; None for what is no letter."""
    if not char.isalpha():
        return None
    name = unicodedata.name(char, "")
    return next((script for prefix, script in _PREFIXES if name.startswith(prefix)), "other")


def scripts(text: str) -> dict[str, int]:
    """Letters by script. A digit counts as the letters that its name takes in the text's main script."""
    folded = unicodedata.normalize("NFKC", text)
    found = Counter(script for char in folded if (script := script_of(char)) is not None)
    digits = sum(char.isdigit() for char in folded)
    if digits:
        main = found.most_common(1)[0][0] if found else "latin"
        found[main] += digits * (_DIGIT_LETTERS.get(main, _DIGIT_LETTERS_ELSE) if found else _LATIN_LETTERS)
    return dict(found)


def language_of(text: str) -> str:
    """The language where the script alone tells it: "ja", "ko", "zh", "el", "he", "th"; else ""."""
    found = scripts(text)
    if "kana" in found:
        return "ja"
    known = {"hangul": "ko", "han": "zh", "greek": "el", "hebrew": "he", "thai": "th"}
    main = max(found, key=lambda script: found[script], default="")
    return known.get(main, "")


@dataclass(frozen=True)
class Pace:
    """Letters a second that the text asks for, and the slow..fast range for its mix of scripts."""

    letters_per_s: float
    slow: float
    fast: float

    @property
    def fits(self) -> bool:
        """Whether a person could say it so."""
        return self.slow <= self.letters_per_s <= self.fast


def pace(text: str, speech_s: float, rates: Mapping[str, Sequence[float]]) -> Pace | None:
    """How fast `text` is said in `speech_s` seconds of speech; `rates` letters a second [slow, fast] by script.

    None where nothing can be said: no speech, no letters, or letters of scripts without rates only.
    """
    counts = {script: n for script, n in scripts(text).items() if script in rates}
    letters = sum(counts.values())
    if letters == 0 or speech_s <= 0:
        return None
    shortest_s = sum(n / rates[script][1] for script, n in counts.items())
    longest_s = sum(n / max(rates[script][0], 1e-6) for script, n in counts.items())
    return Pace(letters / speech_s, letters / longest_s, letters / shortest_s)


def letters_only(text: str) -> str:
    """Letters and digits, folded: what counts when two texts are compared."""
    return "".join(char for char in unicodedata.normalize("NFKC", text).casefold() if char.isalnum())


def character_error_rate(reference: str, heard: str) -> float:
    """Levenshtein distance of the letters over the reference's length; 0 for two empty texts, 1 if only one is."""
    wanted, got = letters_only(reference), letters_only(heard)
    if not wanted:
        return 1.0 if got else 0.0
    row = list(range(len(got) + 1))
    for i, a in enumerate(wanted, start=1):
        previous, row[0] = row[0], i
        for j, b in enumerate(got, start=1):
            previous, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, previous + (a != b))
    return row[-1] / len(wanted)
