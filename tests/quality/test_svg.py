"""Plots are well-formed and show what they are given."""

import xml.etree.ElementTree as ElementTree

from hypothesis import given
from hypothesis import strategies as st

from core.quality import svg


@given(st.lists(st.floats(0, 1e6), max_size=40), st.text("ab<>&\"' 好{}", max_size=20))
def test_any_bars_parse(values: list[float], title: str) -> None:
    root = ElementTree.fromstring(svg.bars(title, values, [title] * len(values), [0.5]))
    rects = root.findall("{*}rect")
    assert len(rects) == len(values)
    assert all(0 <= float(rect.get("height", "-1")) <= 170 for rect in rects)
    assert root.get("aria-label") == title


def test_histogram_counts_everything() -> None:
    text = svg.histogram("t", [0.5, 0.6, 5.0, -3.0, 99.0], 0.0, 10.0, 10)
    counts = [rect.findtext("{*}title", "").split(": ")[1] for rect in ElementTree.fromstring(text).findall("{*}rect")]
    assert counts == ["3", "0", "0", "0", "0", "1", "0", "0", "0", "1"]
