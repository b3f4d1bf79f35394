"""Figures of lengths: everything is counted once."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.cutting.summary import summary


@given(st.lists(st.floats(0.01, 100)))
def test_every_clip_is_counted_once(lengths: list[float]) -> None:
    found = summary(lengths)
    assert found["count"] == sum(bar["count"] for bar in found["histogram"]) == len(lengths)
    shares = found["share_below_3_s"] + found["share_3_to_10_s"] + found["share_above_10_s"]
    assert shares == pytest.approx(1.0 if lengths else 0.0, abs=2e-4)


def test_the_limits_belong_to_the_middle() -> None:
    found = summary([2.999, 3.0, 10.0, 10.001])
    assert (found["share_below_3_s"], found["share_3_to_10_s"], found["share_above_10_s"]) == (0.25, 0.5, 0.25)


@given(st.lists(st.floats(0.0, 120.0), min_size=1, max_size=60))
def test_shares_add_up_and_the_histogram_has_no_holes(lengths: list[float]) -> None:
    told = summary(lengths)
    shares = [told[name] for name in ("share_below_3_s", "share_3_to_10_s", "share_above_10_s")]
    assert sum(shares) == pytest.approx(1.0, abs=2e-4)
    assert told["minutes"] == pytest.approx(sum(lengths) / 60, abs=1e-3)
    bins = told["histogram"]
    assert bins[0]["from_s"] == 0
    assert bins[-1]["to_s"] is None
    assert all(one["to_s"] == other["from_s"] for one, other in itertools.pairwise(bins))
    short = sum(one["count"] for one in bins if one["to_s"] is not None and one["to_s"] <= 3)
    assert short == sum(length < 3 for length in lengths), "the table and the share speak of the same clips"


def test_no_clips_are_no_division() -> None:
    told = summary([])
    assert (told["count"], told["minutes"], told["share_3_to_10_s"]) == (0, 0.0, 0.0)
    assert sum(one["count"] for one in told["histogram"]) == 0
