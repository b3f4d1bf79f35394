"""From figures to findings: which limit a clip or a set breaks, by how much. Words for them are in `texts`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from core.quality.text_match import pace
from core.quality.thresholds import Thresholds

if TYPE_CHECKING:
    from core.dataset.clips import Verdict
    from core.quality.figures import ClipFigures

Severity = Literal["remark", "review", "reject"]
_RANK: dict[str, int] = {"remark": 0, "review": 1, "reject": 2}

CLIP_CODES = (
    "unreadable", "silent", "too_short", "too_long", "noisy", "clipped", "hot_peaks", "too_soft", "too_loud",
    "narrow_band", "reverberant", "little_speech", "little_voice", "no_text", "text_pace", "text_differs",
    "duplicate", "other_speaker", "other_language",
)  # fmt: skip
"""Codes that a clip can get here; other reasons in a clip's row are another part's and stay."""


@dataclass(frozen=True)
class ClipFinding:
    """One limit that one clip breaks: `figure` against `limit` in the unit of the code; `params` for the words."""

    code: str
    severity: Severity
    figure: float | None = None
    limit: float | None = None
    params: dict[str, str | float] = field(default_factory=dict)


@dataclass(frozen=True)
class Finding:
    """What holds for the set, or for `clips` (ids) of it; `low`..`high` are the figures against `limit`."""

    code: str
    severity: Severity
    clips: list[str] = field(default_factory=list)
    low: float | None = None
    high: float | None = None
    limit: float | None = None
    params: dict[str, str | float] = field(default_factory=dict)


@dataclass(frozen=True)
class Surroundings:
    """What only the rest of the set tells of a clip. None: not known.

    How high its source reaches, Hz (a soft clip alone may lack high frequencies); how long its source's room rings, s
    (one clip alone shows few decays); which better take holds the same (id) and how alike they are; how far it is from
    the set's voice (robust z); how far a recogniser's text is from its own (character error rate); which language the
    recogniser heard and which the set is in ("": not known).
    """

    source_bandwidth_hz: float | None = None
    source_rt60_s: float | None = None
    duplicate_of: str | None = None
    similarity: float | None = None
    speaker_z: float | None = None
    error_rate: float | None = None
    language: str = ""
    expected_language: str = ""


def clip_findings(figures: "ClipFigures", text: str, around: Surroundings, limits: Thresholds) -> list[ClipFinding]:
    """Every limit that a clip breaks, worst first. Of a silent clip nothing else is said."""
    if figures.active_s <= 0:
        return [ClipFinding("silent", "reject")]
    found = [
        *_length(figures, limits),
        *_level(figures, limits),
        *_sound(figures, around, limits),
        *_words(figures, text, around, limits),
    ]
    if around.duplicate_of is not None:
        found.append(
            ClipFinding(
                "duplicate", "review", around.similarity, limits.duplicate_similarity, {"other": around.duplicate_of}
            )
        )
    if limits.speaker_z is not None and around.speaker_z is not None and around.speaker_z > limits.speaker_z:
        found.append(ClipFinding("other_speaker", "review", around.speaker_z, limits.speaker_z))
    heard, expected = around.language, around.expected_language
    if heard and expected and heard != expected:
        found.append(ClipFinding("other_language", "review", params={"heard": heard, "expected": expected}))
    return sorted(found, key=lambda one: -_RANK[one.severity])


def _above(code: str, figure: float | None, review: float | None, reject: float | None = None) -> list[ClipFinding]:
    if figure is not None and reject is not None and figure > reject:
        return [ClipFinding(code, "reject", figure, reject)]
    if figure is not None and review is not None and figure > review:
        return [ClipFinding(code, "review", figure, review)]
    return []


def _below(code: str, figure: float | None, review: float | None, reject: float | None = None) -> list[ClipFinding]:
    if figure is not None and reject is not None and figure < reject:
        return [ClipFinding(code, "reject", figure, reject)]
    if figure is not None and review is not None and figure < review:
        return [ClipFinding(code, "review", figure, review)]
    return []


def _length(figures: "ClipFigures", limits: Thresholds) -> list[ClipFinding]:
    return [
        *_below("too_short", figures.duration_s, limits.min_duration_s, limits.reject_below_s),
        *_above("too_long", figures.duration_s, limits.max_duration_s),
    ]


def _level(figures: "ClipFigures", limits: Thresholds) -> list[ClipFinding]:
    return [
        *_below("noisy", figures.snr_db, limits.snr_review_db, limits.snr_reject_db),
        *_above("clipped", figures.clipped_fraction, limits.clipped_review, limits.clipped_reject),
        *_above("hot_peaks", figures.true_peak_dbtp, limits.max_true_peak_dbtp),
        *_below("too_soft", figures.lufs, limits.min_lufs),
        *_above("too_loud", figures.lufs, limits.max_lufs),
    ]


def _sound(figures: "ClipFigures", around: Surroundings, limits: Thresholds) -> list[ClipFinding]:
    rt60_s = figures.rt60_s if around.source_rt60_s is None else around.source_rt60_s
    return [
        *_below("narrow_band", around.source_bandwidth_hz, limits.bandwidth_hz),
        *_above("reverberant", rt60_s, limits.rt60_review_s, limits.rt60_reject_s),
        *_below("little_speech", figures.speech_ratio, limits.speech_review, limits.speech_reject),
        *_below("little_voice", figures.voiced_share, limits.voiced_review),
    ]


def _words(figures: "ClipFigures", text: str, around: Surroundings, limits: Thresholds) -> list[ClipFinding]:
    if not text.strip():
        return [ClipFinding("no_text", "review")] if limits.need_text else []
    found: list[ClipFinding] = []
    # Where the detector hears no speech (singing), the sounding stretch stands for it.
    said = pace(text, figures.speech_s or figures.active_s, limits.speech_rates)
    if said is not None and not said.fits:
        limit = said.fast if said.letters_per_s > said.fast else said.slow
        found.append(ClipFinding("text_pace", "review", said.letters_per_s, limit))
    return found + _above("text_differs", around.error_rate, limits.cer_review, limits.cer_reject)


def verdict_of(findings: Sequence[ClipFinding]) -> "Verdict":
    """What the gate proposes: the worst finding decides; a remark keeps nothing out."""
    worst = max((_RANK[one.severity] for one in findings), default=0)
    return "rejected" if worst == _RANK["reject"] else "review" if worst == _RANK["review"] else "accepted"


def gathered(by_clip: Mapping[str, Sequence[ClipFinding]]) -> list[Finding]:
    """The clips' findings as one line a code and severity, worst and most frequent first."""
    groups: dict[tuple[str, Severity], list[tuple[str, ClipFinding]]] = {}
    for clip, findings in by_clip.items():
        for one in findings:
            groups.setdefault((one.code, one.severity), []).append((clip, one))
    lines = []
    for (code, severity), members in groups.items():
        figures = [one.figure for _, one in members if one.figure is not None]
        limits = {one.limit for _, one in members}
        lines.append(
            Finding(
                code=code,
                severity=severity,
                clips=[clip for clip, _ in members],
                low=min(figures, default=None),
                high=max(figures, default=None),
                limit=limits.pop() if len(limits) == 1 else None,
            )
        )
    return sorted(lines, key=lambda line: (-_RANK[line.severity], -len(line.clips), line.code))
