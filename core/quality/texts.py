"""Findings in words: codes and figures come from the gate, sentences from one file a language."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.quality import texts_en, texts_zh

if TYPE_CHECKING:
    from core.quality.findings import Finding

LANGUAGES: dict[str, Mapping[str, tuple[str, str, str]]] = {"en": texts_en.TEXTS, "zh": texts_zh.TEXTS}
_WORDS: dict[str, Mapping[str, str]] = {"en": texts_en.WORDS, "zh": texts_zh.WORDS}

# Code -> (factor, decimals, unit): how its figure is shown.
_UNITS: dict[str, tuple[float, int, str]] = {
    "too_short": (1, 2, "s"),
    "too_long": (1, 1, "s"),
    "noisy": (1, 0, "dB"),
    "clipped": (100, 2, "%"),
    "hot_peaks": (1, 1, "dBTP"),
    "too_soft": (1, 1, "LUFS"),
    "too_loud": (1, 1, "LUFS"),
    "narrow_band": (0.001, 1, "kHz"),
    "reverberant": (1, 2, "s"),
    "little_speech": (100, 0, "%"),
    "little_voice": (100, 0, "%"),
    "text_pace": (1, 1, "/s"),
    "text_differs": (100, 0, "%"),
    "duplicate": (100, 0, "%"),
    "other_speaker": (1, 1, "z"),
    "little_material": (1, 1, "min"),
    "narrow_range": (1, 0, "st"),
    "one_source": (100, 0, "%"),
    "many_short": (100, 0, "%"),
    "uneven_loudness": (1, 1, "LU"),
    "dull_set": (0.001, 1, "kHz"),
}


@dataclass(frozen=True)
class Said:
    """A finding for people; `figures` such as "4..9 dB (limit 15 dB)", empty where there is nothing to count."""

    title: str
    why: str
    advice: str
    figures: str


def pick_language(asked: str, setting: str) -> str:
    """ "en" or "zh": what was asked for, else the studio's setting, else English."""
    return next((one for one in (asked, setting) if one in LANGUAGES), "en")


def word(key: str, language: str) -> str:
    """One of the report's words."""
    return _WORDS[language][key]


def quantity(code: str, value: float) -> str:
    """`("clipped", 0.0123)` -> "1.23 %"."""
    factor, digits, unit = _UNITS.get(code, (1, 2, ""))
    return f"{value * factor:.{digits}f} {unit}".rstrip()


def said(finding: "Finding", language: str) -> Said:
    """A finding in words; a code without sentences shows as itself."""
    title, why, advice = LANGUAGES[language].get(finding.code, (finding.code, "", ""))
    figures = ""
    if finding.low is not None and finding.high is not None:
        low, high = quantity(finding.code, finding.low), quantity(finding.code, finding.high)
        figures = low if low == high else f"{low} {word('to', language)} {high}"
        if finding.limit is not None:
            figures += f" ({word('limit', language)} {quantity(finding.code, finding.limit)})"
    # Plain replacement: names of files may hold braces.
    for name, value in finding.params.items():
        title = title.replace("{" + name + "}", str(value))
    return Said(title, why, advice, figures)
