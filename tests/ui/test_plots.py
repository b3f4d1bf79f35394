"""Server-drawn SVG: well-formed whatever the figures are, and true to them."""

import math
import xml.etree.ElementTree as ET

from hypothesis import given
from hypothesis import strategies as st

from ui.plots import Series, _ticks, histogram_svg, line_svg, lines_svg, waveform_svg

finite = st.floats(-1e6, 1e6)
anything = st.one_of(finite, st.sampled_from([math.nan, math.inf, -math.inf]))


@given(st.lists(st.tuples(st.floats(0, 1e6), anything), max_size=40))
def test_line_is_well_formed(points: list[tuple[float, float]]) -> None:
    root = ET.fromstring(line_svg(sorted(points, key=lambda p: p[0]), "loss <a> & b", "step"))
    for line in root.iter("polyline"):
        for pair in line.attrib["points"].split():
            x, y = map(float, pair.split(","))
            assert 0 <= x <= 400
            assert 0 <= y <= 132
    assert "nan" not in ET.tostring(root, "unicode").replace("&lt;", "").lower().split("<title")[0] or not points


def test_line_shows_the_newest_value_and_keeps_the_last_point() -> None:
    points = [(float(i), 1000.0 - i) for i in range(1000)]
    svg = line_svg(points, "t")
    assert "<b>1</b>" in svg
    assert svg.count(",") < 2000, "a long run must be thinned out"
    assert "394.0," in svg, "the last point lies at the right edge"


def test_a_wild_start_does_not_flatten_the_rest() -> None:
    points = [(float(i), 500.0 if i < 3 else 2.0 - i / 1000) for i in range(400)]
    root = ET.fromstring(line_svg(points, "loss"))
    heights = [float(p.split(",")[1]) for line in root.iter("polyline") for p in line.attrib["points"].split()]
    assert heights[0] == 6.0, "what is beyond the frame stays at its edge"
    assert max(heights[20:]) - min(heights[20:]) > 60, "the course of the rest fills the frame"


def test_histogram_counts_every_value() -> None:
    svg = histogram_svg([0.1, 0.2, 5.0, 99.0], 0, 10, 10, "lengths", "s")
    titles = [t.text or "" for t in ET.fromstring(svg).iter("title")]
    assert sum(int(t.rsplit(": ", 1)[1]) for t in titles) == 4
    assert any(t.startswith("9.0–10.0") for t in titles), "what is beyond the end counts in the last bin"


@given(st.lists(st.tuples(st.floats(-1.5, 0), st.floats(0, 1.5)), max_size=50))
def test_waveform_stays_inside(peaks: list[tuple[float, float]]) -> None:
    root = ET.fromstring(waveform_svg(peaks, "clip", 64))
    for shape in root.iter("polygon"):
        heights = [float(p.split(",")[1]) for p in shape.attrib["points"].split()]
        assert min(heights) >= 0
        assert max(heights) <= 64.6


@given(finite, st.floats(1e-6, 1e6))
def test_ticks_are_few_and_inside(low: float, span: float) -> None:
    high = low + span
    marks = _ticks(low, high)
    assert len(marks) <= 8
    assert all(low - span * 1e-3 <= m <= high + span * 1e-3 for m in marks)


@given(st.lists(st.lists(st.tuples(st.floats(0, 1e6), anything), max_size=8), max_size=4))
def test_lines_share_their_axes(lines: list[list[tuple[float, float]]]) -> None:
    series = [Series(f"run <{i}>", sorted(points, key=lambda p: p[0]), i) for i, points in enumerate(lines)]
    root = ET.fromstring(lines_svg(series, "loss"))
    drawn = [*root.iter("polyline"), *root.iter("circle")]
    assert len(drawn) == sum(any(math.isfinite(y) for _, y in points) for points in lines)
    assert {one.attrib["class"] for one in drawn} <= {f"ts-line-{i}" for i in range(len(lines))}


def test_a_run_beside_another_is_drawn_to_the_same_scale() -> None:
    low = Series("low", [(0.0, 1.0), (10.0, 1.0)])
    high = Series("high", [(0.0, 3.0), (20.0, 3.0)], 1)
    root = ET.fromstring(lines_svg([low, high], "loss"))
    ends = {line.attrib["class"]: [tuple(map(float, p.split(","))) for p in line.attrib["points"].split()]
            for line in root.iter("polyline")}
    assert ends["ts-line-0"][1][0] == (ends["ts-line-1"][0][0] + ends["ts-line-1"][1][0]) / 2, "half as many steps"
    assert ends["ts-line-0"][0][1] > ends["ts-line-1"][0][1], "less is lower"
    assert "<b>1</b>" in lines_svg([low, high], "loss"), "the newest value is that of the run shown"
    assert "<b>–</b>" in lines_svg([Series("none", []), high], "loss"), "never another run's"
