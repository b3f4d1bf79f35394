"""The rules of the plan, on made-up probabilities and levels: whose sound is whose, and where a word ends."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.cutting.plan import HOP_S, CuePlan, Envelope, part, plan_cuts, quietest, refusal, windows_of

BUFFER_S = 0.1


def sound(spans: list[tuple[float, float]], seconds: float) -> tuple[Envelope, np.ndarray]:
    """(envelope, speech per 10 ms) of tones at the given times over a soft noise."""
    loud = np.zeros(round(seconds / HOP_S), bool)
    for start, end in spans:
        loud[round(start / HOP_S) : round(end / HOP_S)] = True
    return Envelope(np.where(loud, 1e-2, 1e-8), 0), loud


def plans(cues: list[tuple[float, float]], spans: list[tuple[float, float]], seconds: float) -> list[CuePlan]:
    envelope, loud = sound(spans, seconds)
    everything = range(len(cues))
    windows = windows_of(np.array(cues), everything, BUFFER_S, seconds)
    part(windows, everything, envelope)
    speech = []
    for window in windows:
        at = window.start_s + 0.032 * (np.arange(-(-(window.end_sample - window.first_sample) // 512)) + 0.5)
        speech.append(loud[np.minimum((at / HOP_S).astype(int), loud.size - 1)].astype(np.float32))
    return plan_cuts(windows, speech, envelope, seconds)


def test_a_cut_goes_from_the_first_to_the_last_speech() -> None:
    (plan,) = plans([(1.0, 4.0)], [(1.05, 2.0), (2.5, 3.95)], 6.0)
    assert plan.source == "vad"
    assert 0.98 <= plan.start_s <= 1.05
    assert 3.95 <= plan.end_s <= 4.1
    assert not plan.warnings


def test_neighbours_are_parted_in_the_pause_however_short() -> None:
    first, second = plans([(1.0, 2.05), (2.05, 3.0)], [(1.0, 2.0), (2.06, 3.0)], 4.0)
    assert 1.99 <= first.end_s <= 2.06
    assert 1.99 <= second.start_s <= 2.06
    assert first.end_s <= second.start_s


def test_speech_without_a_pause_is_parted_once_and_told() -> None:
    first, second = plans([(1.0, 2.0), (2.0, 3.0)], [(1.0, 3.0)], 4.0)
    assert first.end_s == second.start_s
    assert any("No pause" in warning for warning in first.warnings)
    assert any("No pause" in warning for warning in second.warnings)


def test_the_same_cue_twice_is_cut_twice_and_told() -> None:
    first, second = plans([(1.0, 2.0), (1.0, 2.0)], [(1.0, 2.0)], 4.0)
    assert (first.start_s, first.end_s) == (second.start_s, second.end_s)
    assert all(any("shares" in warning for warning in plan.warnings) for plan in (first, second))


def test_no_speech_means_the_subtitles_times_and_a_warning() -> None:
    (plan,) = plans([(1.0, 2.0)], [], 4.0)
    assert (plan.source, plan.start_s, plan.end_s) == ("subtitle", 1.0, 2.0)
    assert any("No speech" in warning for warning in plan.warnings)


def test_a_late_answer_is_completed_to_the_whole_syllable() -> None:
    envelope, _ = sound([(1.0, 3.0)], 4.0)
    windows = windows_of(np.array([(1.0, 3.0)]), range(1), BUFFER_S, 4.0)
    part(windows, range(1), envelope)
    heard = np.ones(69, np.float32)
    heard[:9] = 0.0  # the detector wakes up 0.19 s into the word
    (plan,) = plan_cuts(windows, [heard], envelope, 4.0)
    assert abs(plan.start_s - 1.0) <= HOP_S


def test_speech_beyond_the_window_is_told() -> None:
    (plan,) = plans([(1.0, 2.0)], [(0.2, 3.5)], 4.0)
    assert len([warning for warning in plan.warnings if "search window" in warning]) == 2


def test_refusals() -> None:
    assert "after the end" in refusal(9.0, 10.0, 8.0)
    assert "no length" in refusal(1.0, 1.0, 8.0)
    assert "more than" in refusal(1.0, 70.0, 100.0)
    assert not refusal(1.0, 2.0, 8.0)


def test_quietest_place_is_the_middle_of_the_longest() -> None:
    envelope, _ = sound([(0.0, 1.0), (1.1, 2.0), (2.6, 4.0)], 4.0)
    assert abs(quietest(envelope, 0.5, 3.5) - 2.3) < 0.06
    assert quietest(Envelope(np.zeros(0), 0), 1.0, 2.0) == 1.5


edges = st.lists(st.floats(0.0, 20.0), min_size=2, max_size=16)


@given(edges, edges)
@settings(max_examples=80)
def test_cuts_are_inside_their_windows_and_never_overlap_more_than_their_cues(
    cue_edges: list[float], sound_edges: list[float]
) -> None:
    cues = _pairs(cue_edges)
    found = plans(cues, _pairs(sound_edges), 21.0)
    assert [plan.position for plan in found] == list(range(len(cues)))
    for plan, (start, end) in zip(found, cues, strict=True):
        if plan.cut:
            assert plan.start_s <= plan.end_s
            assert plan.start_s >= start - BUFFER_S - 1e-6
            assert plan.end_s <= end + BUFFER_S + 1e-6
        else:
            assert plan.warnings
    for (one, (_, end)), (other, (start, stop)) in itertools.pairwise(zip(found, cues, strict=True)):
        apart = min(end, stop) - start <= 0.5 * min(end - cues[one.position][0], stop - start)
        if one.cut and other.cut and apart:
            assert one.end_s <= other.start_s + 1e-6


def _pairs(values: list[float]) -> list[tuple[float, float]]:
    ordered = sorted(values)
    return [(a, b) for a, b in zip(ordered[::2], ordered[1::2], strict=False) if b > a]


def test_what_has_neither_speech_nor_length_is_not_cut_and_told_once() -> None:
    (plan,) = plans([(1.0, 1.001)], [], 3.0)
    assert not plan.cut
    assert plan.warnings == ["No speech was found in it, and nothing is left of its own times: not cut."]


def test_a_cue_after_the_end_has_no_place_in_the_recording() -> None:
    (plan,) = plans([(5.0, 6.0)], [], 3.0)
    assert (plan.cut, plan.start_s, plan.end_s) == (False, 3.0, 3.0)


@given(st.floats(0.0, 2.0), st.floats(5.0, 30.0), edges)
@settings(max_examples=40)
def test_windows_reach_beyond_their_cues_and_stay_in_the_recording(
    buffer_s: float, duration_s: float, cue_edges: list[float]
) -> None:
    cues = _pairs(cue_edges)
    windows = windows_of(np.array(cues).reshape(-1, 2), range(len(cues)), buffer_s, duration_s)
    assert [window.position for window in windows] == list(range(len(cues)))
    for window, (start, end) in zip(windows, cues, strict=True):
        assert (window.cue_start_s, window.cue_end_s) == (start, end)
        assert window.start_s == window.low_s == max(0.0, start - buffer_s)
        assert window.end_s == window.high_s == min(duration_s, end + buffer_s)
        assert 0 <= window.start_s * 16000 - window.first_sample < 1
        assert 0 <= window.end_s * 16000 - window.end_sample < 1


def test_neighbours_outside_the_wanted_are_at_hand_but_never_planned() -> None:
    cues = np.array([(float(n), n + 1.05) for n in range(30)])
    windows = windows_of(cues, range(12, 15), BUFFER_S, 40.0)
    assert {12, 13, 14} < {window.position for window in windows}
    envelope, _ = sound([(n + 0.1, n + 0.95) for n in range(30)], 40.0)
    part(windows, range(12, 15), envelope)
    limits = {window.position: (window.low_s, window.high_s) for window in windows}
    assert limits[11][1] == limits[12][0], "the neighbour before sets a limit"
    assert limits[14][1] == limits[15][0], "and so does the one after"
    assert limits[4] == pytest.approx((3.9, 5.15)), "but cues of another chapter are parted there"


@pytest.mark.parametrize(
    ("start_s", "end_s", "places"),
    [(1.0, 1.5, (50, 100)), (0.0, 0.2, (0, 0)), (0.4, 0.6, (0, 10)), (9.0, 9.5, (850, 900)), (2.0, 1.0, (150, 150))],
)
def test_an_envelope_that_begins_late_is_still_found_by_time(
    start_s: float, end_s: float, places: tuple[int, int]
) -> None:
    found = Envelope(np.zeros(1000), first=50).between(start_s, end_s)
    assert (found.start, found.stop) == places


@given(edges, st.floats(0.0, 18.0), st.floats(0.05, 2.0))
@settings(max_examples=40)
def test_the_quietest_place_is_between_the_two_times(sound_edges: list[float], start_s: float, length: float) -> None:
    envelope, loud = sound(_pairs(sound_edges), 21.0)
    place = quietest(envelope, start_s, start_s + length)
    assert start_s <= place <= start_s + length
    inside = loud[round(start_s / HOP_S) : round((start_s + length) / HOP_S)]
    if inside.size > 40 and not inside.any():
        assert abs(place - (start_s + length / 2)) < length / 2, "in nothing but silence it is inside"


@given(st.floats(-5, 200), st.floats(-5, 200), st.floats(0, 200))
def test_a_refusal_is_given_for_exactly_what_cannot_be_cut(start: float, end: float, duration: float) -> None:
    possible = start < end and end - start <= 60.0 and start < duration
    assert (refusal(start, end, duration) == "") == possible


def test_a_click_beside_the_word_is_not_taken_in() -> None:
    (plan,) = plans([(1.0, 2.0)], [(0.92, 0.93), (1.1, 1.9)], 3.0)
    assert plan.start_s > 0.95


def test_a_neighbours_end_that_pokes_into_the_window_stays_the_neighbours() -> None:
    first, second = plans([(1.0, 2.0), (2.3, 3.0)], [(1.0, 2.05), (2.35, 2.95)], 4.0)
    assert first.end_s <= 2.11
    assert second.start_s >= 2.2
    assert not any("No pause" in warning for plan in (first, second) for warning in plan.warnings)
