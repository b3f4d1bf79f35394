"""What the clips are together: how much, which notes, which sounds, how even; and what to remark on that."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from core.quality.findings import Finding
from core.quality.notes import covered, note_name
from core.quality.text_match import script_of
from core.quality.thresholds import Thresholds

if TYPE_CHECKING:
    from core.quality.figures import ClipFigures

SHORT_S, LONG_S = 3.0, 10.0


@dataclass(frozen=True)
class Member:
    """One clip as the set sees it. `accepted`: it would be trained on; `language`: as heard, or as its script tells."""

    source: str
    text: str
    speaker: str
    accepted: bool
    figures: "ClipFigures"
    language: str = ""


@dataclass(frozen=True)
class SetFigures:
    """Figures of the clips that would be trained on (`clips`, `minutes` count all of them).

    `notes`: voiced seconds by MIDI note; `low_note`..`high_note` the range held for a while, `gaps` the notes inside
    it that are not. `characters`: different letters by script; `phonemes`: uses of each sound, empty if not asked for
    or not measured. `by_source`, `by_speaker`: minutes. `lengths`: clips under 3 s, 3 to 10 s, over 10 s. `loudness`,
    `snr`: 10th, 50th, 90th percentile.
    """

    clips: int
    minutes: float
    accepted: int
    accepted_minutes: float
    voiced_minutes: float = 0.0
    notes: dict[int, float] = field(default_factory=dict)
    low_note: str = ""
    high_note: str = ""
    semitones: int = 0
    gaps: list[str] = field(default_factory=list)
    with_text: int = 0
    languages: dict[str, int] = field(default_factory=dict)
    characters: dict[str, int] = field(default_factory=dict)
    phonemes: dict[str, int] = field(default_factory=dict)
    by_source: dict[str, float] = field(default_factory=dict)
    by_speaker: dict[str, float] = field(default_factory=dict)
    lengths: dict[str, int] = field(default_factory=dict)
    loudness: list[float] = field(default_factory=list)
    snr: list[float] = field(default_factory=list)
    bandwidth_hz: float = 0.0


def set_figures(members: Sequence[Member], phonemes: dict[str, int] | None = None) -> SetFigures:
    """Figures of a set. Pure counting, linear in the clips."""
    kept = [one for one in members if one.accepted]
    notes: defaultdict[int, float] = defaultdict(float)
    by_source: defaultdict[str, float] = defaultdict(float)
    by_speaker: defaultdict[str, float] = defaultdict(float)
    letters: defaultdict[str, set[str]] = defaultdict(set)
    languages: Counter[str] = Counter()
    lengths = {"short": 0, "middle": 0, "long": 0}
    for one in kept:
        for note, seconds in one.figures.notes.items():
            notes[note] += seconds
        by_source[one.source] += one.figures.duration_s / 60.0
        by_speaker[one.speaker] += one.figures.duration_s / 60.0
        for char in one.text.casefold():
            if (script := script_of(char)) is not None:
                letters[script].add(char)
        if one.language:
            languages[one.language] += 1
        seconds = one.figures.duration_s
        lengths["short" if seconds < SHORT_S else "long" if seconds > LONG_S else "middle"] += 1
    held = covered(notes)
    return SetFigures(
        clips=len(members),
        minutes=_minutes(members),
        accepted=len(kept),
        accepted_minutes=_minutes(kept),
        voiced_minutes=round(sum(notes.values()) / 60.0, 3),
        notes={note: round(notes[note], 2) for note in sorted(notes)},
        low_note=note_name(held[0]) if held else "",
        high_note=note_name(held[-1]) if held else "",
        semitones=held[-1] - held[0] if held else 0,
        gaps=[note_name(note) for note in range(held[0], held[-1]) if note not in set(held)] if held else [],
        with_text=sum(bool(one.text.strip()) for one in kept),
        languages=dict(languages),
        characters={script: len(found) for script, found in sorted(letters.items())},
        phonemes=phonemes or {},
        by_source=_rounded(by_source),
        by_speaker=_rounded(by_speaker),
        lengths=lengths,
        loudness=_percentiles([one.figures.lufs for one in kept if one.figures.lufs > -70.0]),
        snr=_percentiles([one.figures.snr_db for one in kept]),
        bandwidth_hz=(_percentiles([one.figures.bandwidth_hz for one in kept]) or [0.0, 0.0])[1],
    )


def _minutes(members: Sequence[Member]) -> float:
    return round(sum(one.figures.duration_s for one in members) / 60.0, 3)


def _rounded(minutes: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 3) for name, value in sorted(minutes.items(), key=lambda item: -item[1])}


def _percentiles(values: Sequence[float]) -> list[float]:
    """10th, 50th and 90th percentile by nearest rank; empty for none."""
    ordered = sorted(values)
    return [round(ordered[min(len(ordered) - 1, int(q * len(ordered)))], 2) for q in (0.1, 0.5, 0.9)] if ordered else []


def set_findings(figures: SetFigures, limits: Thresholds, missing_sounds: Sequence[str] = ()) -> list[Finding]:
    """What to remark on a set; nothing here keeps a clip out."""
    if not figures.accepted:
        return [Finding("none_accepted", "remark", params={"clips": figures.clips})]
    found: list[Finding] = []

    def remark(code: str, figure: float, limit: float, **params: str | float) -> None:
        found.append(Finding(code, "remark", [], figure, figure, limit, params))

    if figures.accepted_minutes < limits.set_minutes:
        remark("little_material", figures.accepted_minutes, limits.set_minutes)
    if figures.notes and figures.semitones < limits.set_semitones:
        remark("narrow_range", figures.semitones, limits.set_semitones, low=figures.low_note, high=figures.high_note)
    if figures.gaps:
        shown = ", ".join(figures.gaps[:12]) + (" ..." if len(figures.gaps) > 12 else "")
        found.append(Finding("range_gaps", "remark", [], params={"notes": shown, "count": len(figures.gaps)}))
    if len(figures.by_source) > 1:
        source, minutes = next(iter(figures.by_source.items()))
        share = minutes / max(figures.accepted_minutes, 1e-9)
        if share > limits.set_source_share:
            remark("one_source", share, limits.set_source_share, source=source)
    if figures.lengths["short"] / figures.accepted > limits.set_short_share:
        remark("many_short", figures.lengths["short"] / figures.accepted, limits.set_short_share)
    if figures.loudness and figures.loudness[2] - figures.loudness[0] > limits.set_loudness_spread_lu:
        remark("uneven_loudness", figures.loudness[2] - figures.loudness[0], limits.set_loudness_spread_lu)
    if figures.bandwidth_hz < limits.set_bandwidth_hz:
        remark("dull_set", figures.bandwidth_hz, limits.set_bandwidth_hz)
    if missing_sounds:
        found.append(Finding("missing_sounds", "remark", [], params={"sounds": " ".join(missing_sounds)}))
    if limits.need_text and not figures.with_text:
        found.append(Finding("set_without_text", "remark"))
    return found
