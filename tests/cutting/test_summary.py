"""Figures of lengths: everything is counted once."""

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
