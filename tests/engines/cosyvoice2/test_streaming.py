"""Grids and memories."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from core.engines.cosyvoice2.streaming import Grid, Memory, begin

CPU = torch.device("cpu")


@pytest.mark.parametrize(("block", "skip"), [(-1, 0), (5, 5), (5, -1), (0, 1)])
def test_impossible_grids_are_refused(block: int, skip: int) -> None:
    with pytest.raises(ValueError, match="cannot skip"):
        Grid(block, skip)


@settings(max_examples=20)
@given(st.integers(1, 9), st.data())
def test_blocks_end_where_the_next_begins(block: int, data: st.DataObject) -> None:
    grid = Grid(block, data.draw(st.integers(0, block - 1)))
    blocks = grid.of(torch.arange(40)).tolist()
    ends = [n for n in range(1, 40) if blocks[n] != blocks[n - 1]]
    assert grid.ends(0, 39) == ends
    assert all(end in ends for end in grid.ends(7, 30))
    doubled = grid.scaled(2).of(torch.arange(80)).tolist()
    assert doubled == [b for b in blocks for _ in range(2)]


@settings(max_examples=20)
@given(st.lists(st.integers(1, 8), min_size=1, max_size=12), st.integers(0, 6))
def test_a_bounded_memory_shows_the_prompt_and_what_is_near(sizes: list[int], keep: int) -> None:
    """Whatever came in, keys and positions belong together, nothing near is missing and nothing far is left."""
    left, layer = 10, torch.nn.Identity()
    memory = Memory(left, keep)
    seen = 0
    for size in sizes:
        queries, positions = memory.begin(size)
        values = queries.float()[None, None, :, None]
        key, value = memory.attend(layer, values, -values)
        assert key.flatten().tolist() == positions.tolist() == (-value).flatten().tolist()
        stop = seen + size
        wanted = {p for p in range(stop) if p < keep or p >= seen - left}
        assert set(positions.tolist()) == wanted
        seen = stop


def test_a_copied_memory_goes_its_own_way() -> None:
    layer = torch.nn.Identity()
    memory = Memory()
    memory.begin(2)
    memory.attend(layer, torch.ones(1, 1, 2, 1), torch.ones(1, 1, 2, 1))
    memory.pad(layer, torch.ones(1, 1, 2), 1)
    twin = memory.clone()
    twin.begin(1)
    twin.attend(layer, torch.zeros(1, 1, 1, 1), torch.zeros(1, 1, 1, 1))
    assert memory.seen == 2
    assert memory.pad(layer, torch.zeros(1, 1, 1), 1).tolist() == [[[1.0, 0.0]]]
    assert memory.size_bytes() > 0


def test_the_mask_is_left_out_where_all_is_in_sight() -> None:
    assert begin(4, Grid(), None, CPU).visible is None
    assert begin(4, Grid(4), None, CPU).visible is None
    mask = begin(4, Grid(2), None, CPU).visible
    assert mask is not None
    assert mask.tolist() == [[True, True, False, False]] * 2 + [[True] * 4] * 2
