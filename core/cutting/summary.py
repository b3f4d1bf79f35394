"""What came out of a cutting, in figures."""

from collections.abc import Sequence
from typing import Any

_EDGES_S = (0, 1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 30)


def summary(durations_s: Sequence[float]) -> dict[str, Any]:
    """Of the lengths of the clips, silence included: `count`, `minutes`, `histogram` (how many from one length to the
    next; the last has no end) and the `share_below_3_s`, `share_3_to_10_s`, `share_above_10_s` of the clips, 0..1."""
    count = len(durations_s)
    short = sum(d < 3.0 for d in durations_s)
    long = sum(d > 10.0 for d in durations_s)
    tops: list[float | None] = [*_EDGES_S[1:], None]
    histogram = [
        {"from_s": low, "to_s": high, "count": sum(low <= d and (high is None or d < high) for d in durations_s)}
        for low, high in zip(_EDGES_S, tops, strict=True)
    ]
    return {
        "count": count,
        "minutes": round(sum(durations_s) / 60.0, 3),
        "histogram": histogram,
        "share_below_3_s": round(short / count, 4) if count else 0.0,
        "share_3_to_10_s": round((count - short - long) / count, 4) if count else 0.0,
        "share_above_10_s": round(long / count, 4) if count else 0.0,
    }
