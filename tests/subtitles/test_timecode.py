"""Times in lines: every clock is read back, and what is no time is left alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.subtitles.timecode import TimeLine, clock, time_line

moments = st.integers(0, 359_999_999)


@given(moments, moments, st.sampled_from([",", "."]))
def test_what_is_written_is_read_to_the_millisecond(start: int, end: int, mark: str) -> None:
    assert time_line(f"{clock(start, mark)} --> {clock(end, mark)}") == TimeLine(start, end, "")


@given(moments, moments, st.sampled_from([" --> ", "-->", " -> ", " → ", " —> "]), st.sampled_from([",", ".", "，"]))
def test_other_hands_mean_the_same_times(start: int, end: int, arrow: str, mark: str) -> None:
    found = time_line(f"{clock(start, mark)}{arrow}{clock(end, mark)}")
    assert isinstance(found, TimeLine)
    assert (found.start_ms, found.end_ms) == (start, end)
    assert bool(found.odd) == ("-->" not in arrow)


@pytest.mark.parametrize(
    ("fraction", "ms", "odd"),
    [
        ("5", 500, "decimal"),
        ("05", 50, "decimal"),
        ("0005", 0, "not rounded"),
        ("9999999", 999, "not rounded"),
        ("120000", 120, ""),
    ],
)
def test_a_fraction_is_a_decimal_and_never_rounded_up(fraction: str, ms: int, odd: str) -> None:
    found = time_line(f"00:00:01,{fraction} --> 00:00:02,000")
    assert isinstance(found, TimeLine)
    assert found.start_ms == 1000 + ms
    assert odd in found.odd
    assert bool(found.odd) == bool(odd)


@pytest.mark.parametrize("line", ["00:61:00,000 --> 00:62:00,000", "00:00:75,000 --> 00:01:20,000"])
def test_a_time_that_no_clock_shows_is_a_reason(line: str) -> None:
    found = time_line(line)
    assert isinstance(found, str)
    assert "does not exist" in found


@given(st.text(max_size=80))
def test_any_line_has_an_answer_and_text_without_a_colon_has_none(line: str) -> None:
    found = time_line(line)
    if ":" not in line and "：" not in line:
        assert found is None
    if isinstance(found, TimeLine):
        assert found.start_ms >= 0
        assert found.end_ms >= 0
