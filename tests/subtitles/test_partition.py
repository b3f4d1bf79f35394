"""The dynamic programme against trying all ways."""

from itertools import product

from hypothesis import given, settings
from hypothesis import strategies as st

from core.subtitles.partition import Boundary, Lengths, partition

LENGTHS = Lengths(5000, 12000, 15000)
spans = st.lists(st.tuples(st.integers(0, 9000), st.integers(1, 17000)), min_size=1, max_size=7).map(
    lambda pairs: sorted((start * 4, start * 4 + length) for start, length in pairs)
)


def cost(
    groups: list[tuple[int, int]], rows: list[tuple[int, int]], bounds: list[Boundary]
) -> tuple[float, float] | None:
    """(breaks, lengths) of one way to cut; None where it is not allowed."""
    breaks = fit = 0.0
    for first, last in groups:
        end = max(end for _, end in rows[first : last + 1])
        duration = end - rows[first][0]
        if last > first and duration > LENGTHS.limit_ms:
            return None
        if any(bounds[at].must for at in range(first, last)):
            return None
        if last < len(rows) - 1 and not bounds[last].must:
            breaks += bounds[last].cost
        silence = sum(max(0, rows[at + 1][0] - rows[at][1]) for at in range(first, last))
        fit += LENGTHS.cost(duration) + silence / 1000
    return breaks, fit


@settings(max_examples=60)
@given(spans, st.data())
def test_nothing_is_better(rows: list[tuple[int, int]], data: st.DataObject) -> None:
    n = len(rows)
    kinds = st.builds(Boundary, st.sampled_from([0.0, 100.0, 190.0]), st.booleans())
    bounds = data.draw(st.lists(kinds, min_size=n - 1, max_size=n - 1))
    groups = partition(rows, bounds, LENGTHS)
    assert [first for first, _ in groups] + [n] == [0] + [last + 1 for _, last in groups]
    found = cost(groups, rows, bounds)
    assert found is not None
    for cuts in product([False, True], repeat=n - 1):
        ends = [at for at, cut in enumerate(cuts) if cut] + [n - 1]
        other = cost(list(zip([0] + [end + 1 for end in ends[:-1]], ends, strict=True)), rows, bounds)
        assert other is None or other[0] > found[0] - 1e-6
        assert other is None or other[0] > found[0] + 1e-6 or other[1] >= found[1] - 1e-6


def test_empty() -> None:
    assert partition([], [], LENGTHS) == []
