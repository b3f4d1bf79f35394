"""Which checkpoint sounds best, by what was measured of its probes: a suggestion with reasons, not a verdict. No torch.

Each figure is set in relation to its own spread over the run (distance from the median in units of the median absolute
deviation, held within -3..3), so that no unit outweighs another; the weighted mean is the score of a step. Loss takes
no part: it says how well a training fits its clips, not how a voice sounds.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

MOST = 3.0


@dataclass(frozen=True)
class Figure:
    """How a measure is read."""

    name: str
    words: str
    sign: int
    """1: more is better; -1: less is better; 0: nearer to zero is better."""
    weight: float
    unit: str = ""


FIGURES = (
    Figure("mel_distance", "distance of spectra to the recordings", -1, 1.0),
    Figure("speaker_similarity", "likeness to the speaker", 1, 1.0),
    Figure("wer", "word errors", -1, 1.0),
    Figure("cer", "character errors", -1, 1.0),
    Figure("dnsmos", "DNSMOS", 1, 0.75),
    Figure("pitch_error_cents", "pitch error", -1, 0.5, " cents"),
    Figure("level_db", "level beside the recordings", 0, 0.25, " dB"),
)


@dataclass(frozen=True)
class Scored:
    """One step with its figures."""

    step: int
    score: float
    """Weighted mean over figures; 0 is the run's median, positive is better."""
    figures: dict[str, float]
    available: bool
    """There is a checkpoint of it, full or light."""


@dataclass(frozen=True)
class Suggestion:
    """The step to try first."""

    step: int
    reasons: list[str]
    """What speaks for it, and what speaks against being sure."""
    sure: bool
    """It is ahead of the next one by more than the steps differ anyway."""
    ranking: list[Scored]
    """Best first."""


def probe_rows(metrics: Iterable[Mapping[str, Any]]) -> dict[int, dict[str, float]]:
    """Figures of probes by step, from the rows of metrics.jsonl."""
    found: dict[int, dict[str, float]] = {}
    for row in metrics:
        values = {f.name: row.get(f"probe/{f.name}") for f in FIGURES}
        known = {name: float(value) for name, value in values.items() if isinstance(value, int | float)}
        if known:
            found[int(row["step"])] = known
    return found


def suggest(metrics: Iterable[Mapping[str, Any]], steps_with_checkpoint: Iterable[int]) -> Suggestion | None:
    """The most promising step that has a checkpoint; None where nothing was measured of any."""
    rows = probe_rows(metrics)
    there = set(steps_with_checkpoint)
    figures = [f for f in FIGURES if sum(f.name in row for row in rows.values()) == len(rows)] if rows else []
    if not figures or not there & rows.keys():
        return None
    goods = {f.name: {step: _good(f, row[f.name]) for step, row in rows.items()} for f in figures}
    units = {name: _relative(list(values.values())) for name, values in goods.items()}
    weight = sum(f.weight for f in figures)

    def score(step: int) -> float:
        total = 0.0
        for f in figures:
            middle, spread = units[f.name]
            total += f.weight * max(-MOST, min(MOST, (goods[f.name][step] - middle) / spread))
        return total / weight

    ranking = sorted((Scored(s, score(s), rows[s], s in there) for s in rows), key=lambda r: (-r.score, r.step))
    best = next(row for row in ranking if row.available)
    others = [row for row in ranking if row.available and row.step != best.step]
    sure = bool(others) and best.score - others[0].score > 0.5
    reasons = [_reason(f, best.step, rows) for f in figures]
    reasons += _doubts(best, others, ranking, rows, sure)
    return Suggestion(best.step, reasons, sure, ranking)


def _good(figure: Figure, value: float) -> float:
    return figure.sign * value if figure.sign else -abs(value)


def _relative(values: Sequence[float]) -> tuple[float, float]:
    middle = median(values)
    return middle, max(median(abs(v - middle) for v in values), 1e-9)


def _reason(figure: Figure, step: int, rows: Mapping[int, Mapping[str, float]]) -> str:
    values = [row[figure.name] for row in rows.values()]
    mine = rows[step][figure.name]
    place = 1 + sum(_good(figure, v) > _good(figure, mine) for v in values)
    return f"{figure.words}: {mine:.3g}{figure.unit}, place {place} of {len(values)} (median {median(values):.3g})"


def _doubts(
    best: Scored, others: list[Scored], ranking: list[Scored], rows: Mapping[int, Mapping[str, float]], sure: bool
) -> list[str]:
    found = []
    if others and not sure:
        found.append(f"step {others[0].step} measures nearly as well: compare the two by ear")
    if not ranking[0].available:
        found.append(f"step {ranking[0].step} measured better, but its checkpoint is gone")
    if best.step == max(rows) and len(rows) > 2:
        found.append("it is the last step measured: training longer may help")
    elif len(rows) > 2 and best.step < max(rows):
        found.append("later steps measure worse: training longer is unlikely to help")
    return found
