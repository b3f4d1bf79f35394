"""Blending units: against plain formulas, at the edges, and the pieces of forced clips."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from core.engines.sovits.forced_clip import centre_pad, fixed_pieces
from core.engines.sovits.retrieval import blend_centres, blend_neighbours, nearest


def test_neighbours_are_those_of_an_exhaustive_search() -> None:
    torch.manual_seed(1)
    units, bank = torch.randn(300, 6), torch.randn(500, 6)
    exact = (units[:, None] - bank[None]).square().sum(2)
    distance, rows = nearest(units, bank, 8)
    expected = exact.sort(dim=1)
    torch.testing.assert_close(distance, expected.values[:, :8])
    assert torch.equal(rows, expected.indices[:, :8])


@pytest.mark.parametrize("blend", [blend_centres, blend_neighbours])
def test_a_share_of_nothing_changes_nothing(blend: object) -> None:
    units, bank = torch.randn(5, 3), torch.randn(20, 3)
    assert callable(blend)
    torch.testing.assert_close(blend(units, bank, 0.0), units)
    whole = blend(units, bank, 1.0)
    torch.testing.assert_close(blend(units, bank, 0.25), 0.25 * whole + 0.75 * units)


def test_a_unit_that_is_in_the_bank_stays_itself() -> None:
    """Upstream's weights are infinite there, and the sound is not a number."""
    bank = torch.randn(20, 3)
    torch.testing.assert_close(blend_neighbours(bank[4:6], bank, 1.0), bank[4:6])


def test_a_bank_smaller_than_the_neighbourhood_is_used_whole() -> None:
    out = blend_neighbours(torch.zeros(2, 3), torch.ones(3, 3), 1.0)
    torch.testing.assert_close(out, torch.ones(2, 3))


@given(st.integers(0, 400), st.integers(1, 90), st.integers(0, 30))
def test_pieces_cover_everything_once_and_overlap_before(n: int, size: int, overlap: int) -> None:
    pieces = fixed_pieces(n, size, overlap)
    assert len(pieces) == -(-n // size)
    at = 0
    for start, end in pieces:
        assert start == max(0, at - overlap)
        at = end
    assert at == n


@given(st.integers(0, 20), st.integers(0, 30))
def test_padding_centres_and_never_cuts(n: int, wanted: int) -> None:
    out = centre_pad(np.ones(n, np.float32), wanted)
    assert out.size == max(n, wanted)
    assert out.sum() == n
    left = int(out.argmax()) if n else 0
    assert not n or 0 <= (out.size - n - left) - left <= 1
