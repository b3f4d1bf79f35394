"""Cutting a row of cues (or words) into groups: the best one of all ways, by dynamic programming."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Boundary:
    """The place between two neighbours. `cost` of ending a group here, 0 for none; `must`: a group ends here."""

    cost: float
    must: bool = False


@dataclass(frozen=True)
class Lengths:
    """Groups may last up to `limit_ms`; between `min_ms` and `max_ms` is best."""

    min_ms: float
    max_ms: float
    limit_ms: float

    def cost(self, duration_ms: float) -> float:
        """0 inside the range; outside, the square of the seconds, four times as much above as below."""
        if duration_ms < self.min_ms:
            return ((self.min_ms - duration_ms) / 1000.0) ** 2
        return 4.0 * (max(0.0, duration_ms - self.max_ms) / 1000.0) ** 2


def partition(
    spans: Sequence[tuple[int, int]], boundaries: Sequence[Boundary], lengths: Lengths
) -> list[tuple[int, int]]:
    """Groups (first, last) of `spans` (start_ms, end_ms), in order of their starts.

    `boundaries[i]` lies after span i, so there is one fewer than spans. Of all ways to cut, that with the least sum of
    boundary costs is taken, and of those that with the best lengths and the least silence inside groups. A group of
    several spans never exceeds the limit; a span that does stands alone. Work grows with n times the group's size.
    """
    best: list[tuple[float, float]] = [(0.0, 0.0)]
    came: list[int] = [0]
    for last in range(len(spans)):
        leaving = boundaries[last].cost if last < len(spans) - 1 and not boundaries[last].must else 0.0
        choice, origin = (float("inf"), float("inf")), last
        end_ms, silence_ms, next_start_ms = spans[last][1], 0, 0
        for first in range(last, -1, -1):
            start_ms, own_end_ms = spans[first]
            if first < last:
                if boundaries[first].must:
                    break
                end_ms = max(end_ms, own_end_ms)
                silence_ms += max(0, next_start_ms - own_end_ms)
                if end_ms - start_ms > lengths.limit_ms:
                    break
            next_start_ms = start_ms
            here = best[first]
            cost = here[0] + leaving, here[1] + lengths.cost(end_ms - start_ms) + silence_ms / 1000.0
            if cost < choice:
                choice, origin = cost, first
        best.append(choice)
        came.append(origin)
    groups, at = [], len(spans)
    while at > 0:
        groups.append((came[at], at - 1))
        at = came[at]
    return groups[::-1]
