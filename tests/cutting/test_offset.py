"""Injected offsets and drifts are found within 0.1 s over the whole file; none is claimed where there is none."""

from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.cutting.offset import BIN_S, Activity, Correction, detect
from core.cutting.speech import FRAME_S

TOLERANCE_S = 0.1


def conversation(seed: int, minutes: float) -> tuple[np.ndarray, np.ndarray]:
    """(times [n, 2] of utterances, activity with missed and false frames)."""
    rng = np.random.default_rng(seed)
    times, now = [], float(rng.uniform(1, 20))
    while now < minutes * 60:
        length = float(rng.uniform(1, 7))
        times.append((now, now + length))
        now += length + float(rng.uniform(0.2, 2.0))
    activity = np.zeros(round((now + 5) / BIN_S), np.float32)
    for start, end in times:
        activity[round(start / BIN_S) : round(end / BIN_S)] = 1.0
    wrong = rng.random(activity.size) < 0.1
    activity[wrong] = 1.0 - activity[wrong]
    return np.array(times) + rng.uniform(-0.08, 0.08, (len(times), 2)), activity


@given(
    st.integers(0, 50),
    st.floats(2, 25),
    st.one_of(st.floats(-45, -0.25), st.floats(0.25, 45)),
    st.sampled_from([1.0, 1.0005, 0.999, 25 / 24, 24 / 25, 25 / 23.976]),
)
@settings(max_examples=12)
def test_offset_and_drift_are_found(seed: int, minutes: float, offset: float, drift: float) -> None:
    times, activity = conversation(seed, minutes)
    wrong = (times - offset) / drift
    wrong = wrong[wrong[:, 0] >= 0]
    found = detect(wrong, activity)
    assert found is not None
    assert np.abs(found.apply(wrong) - (wrong * drift + offset)).max() < TOLERANCE_S
    assert 0 < found.confidence <= 1


@given(st.integers(0, 50), st.floats(2, 25))
@settings(max_examples=8)
def test_none_is_claimed_on_aligned_subtitles(seed: int, minutes: float) -> None:
    assert detect(*conversation(seed, minutes)) is None


@pytest.mark.parametrize("seed", range(4))
def test_none_is_claimed_on_subtitles_of_another_recording(seed: int) -> None:
    times, _ = conversation(seed, 10)
    _, activity = conversation(seed + 100, 10)
    assert detect(times, activity) is None


def noisy(kind: str, times: np.ndarray, activity: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Cues that are few, badly placed or stretched to the next; sound with music, and with speech not heard."""
    rng = np.random.default_rng(seed)
    if kind == "sparse":
        times = times[rng.random(len(times)) < 0.25]
    if kind == "jittered":
        times = np.sort(times + rng.uniform(-0.2, 0.2, times.shape), axis=1)
        times = times[np.argsort(times[:, 0])]
    if kind == "stretched":
        times = np.stack([times[:-1, 0], times[1:, 0]], axis=1)
    if kind == "music":
        activity = activity.copy()
        for value, n in ((0.9, 400), (0.0, 200)):
            for start in rng.integers(activity.size, size=activity.size // 2000):
                activity[start : start + n] = value
    return times, activity


NOISES = ("plain", "sparse", "jittered", "stretched", "music")


@pytest.mark.parametrize("kind", NOISES)
@pytest.mark.parametrize("minutes", [4.0, 15.0])
def test_what_is_sparse_or_noisy_is_no_reason_for_an_alarm(kind: str, minutes: float) -> None:
    for seed in range(3):
        assert detect(*noisy(kind, *conversation(seed, minutes), seed)) is None


@pytest.mark.parametrize(
    ("minutes", "seed"), [(0.5, 11), (1.0, 4), (1.0, 7), (1.0, 13), (1.0, 29), (1.5, 9), (1.5, 22)]
)
def test_a_line_that_fits_a_few_cues_by_chance_is_not_claimed(minutes: float, seed: int) -> None:
    assert detect(*noisy("jittered", *conversation(seed, minutes), seed)) is None


@pytest.mark.parametrize("kind", NOISES)
@pytest.mark.parametrize(("offset", "drift"), [(-58.0, 24 / 25), (59.0, 1.0), (-7.0, 25 / 23.976), (0.8, 0.999)])
def test_they_are_found_in_sparse_and_noisy_ones(kind: str, offset: float, drift: float) -> None:
    times, activity = noisy(kind, *conversation(11, 6.0), 1)
    wrong = (times - offset) / drift
    wrong = wrong[wrong[:, 0] >= 0]
    found = detect(wrong, activity)
    assert found is not None
    tolerance = 0.25 if kind in ("sparse", "jittered") else TOLERANCE_S
    assert np.abs(found.apply(wrong) - (wrong * drift + offset)).max() < tolerance


def test_a_film_rate_is_told_exactly() -> None:
    times, activity = conversation(2, 4.0)
    found = detect(times * 24 / 25, activity)
    assert found is not None
    assert found.drift == pytest.approx(25 / 24, abs=1e-6)


def test_none_is_claimed_on_too_little() -> None:
    times, activity = conversation(0, 5)
    assert detect(times[:3], activity) is None
    assert detect(times, np.zeros(0, np.float32)) is None
    assert detect(times, np.zeros_like(activity)) is None
    assert detect(times, np.ones_like(activity)) is None


def test_corrected_times_are_never_negative() -> None:
    assert Correction(-5.0, 1.0, 1.0).apply(np.array([[1.0, 9.0]])).tolist() == [[0.0, 4.0]]


def test_activity_is_put_together_in_any_order() -> None:
    activity = Activity()
    activity.add(2000.0, np.full(100, 0.5, np.float32))
    activity.add(1000.0, np.zeros(100, np.float32))
    activity.add(2000.0 + 50 * FRAME_S, np.full(20, 0.9, np.float32))
    values = activity.values
    assert values.size == round((2000.0 + 100 * FRAME_S) / BIN_S)
    assert values[round(2000.5 / BIN_S)] == 0.5
    assert values[round((2000.0 + 60 * FRAME_S) / BIN_S)] == np.float32(0.9)
    assert values[round(1500 / BIN_S)] == 0.0


@given(st.floats(-60, 60), st.floats(0.95, 1.05))
def test_a_correction_is_a_straight_line(offset_s: float, drift: float) -> None:
    times = np.array([[100.0, 101.5], [4000.0, 4003.0]])
    corrected = Correction(offset_s, drift, 1.0).apply(times)
    assert corrected == pytest.approx(times * drift + offset_s)
    assert np.diff(corrected, axis=1) == pytest.approx(drift * np.diff(times, axis=1)), "no cue is torn"


@pytest.mark.parametrize(
    ("offset_s", "found"), [(0.0, False), (0.05, False), (-0.08, False), (0.3, True), (-0.3, True)]
)
def test_what_the_search_around_each_cue_allows_for_is_not_claimed(offset_s: float, found: bool) -> None:
    times, activity = conversation(7, 6.0)
    correction = detect(times[times[:, 0] > 1.0] - offset_s, activity)
    assert (correction is not None) == found
    if correction is not None:
        assert correction.offset_s == pytest.approx(offset_s, abs=0.1)
        assert 0.0 < correction.confidence <= 1.0


def test_an_offset_that_nobody_could_have_meant_is_not_claimed() -> None:
    times, activity = conversation(3, 8.0)
    assert detect(times + 300.0, activity) is None


def test_cues_that_overlap_and_repeat_do_no_harm() -> None:
    times, activity = conversation(4, 8.0)
    doubled = np.repeat(times, 2, axis=0) - 2.0
    correction = detect(doubled[doubled[:, 0] > 0], activity)
    assert correction is not None
    assert correction.offset_s == pytest.approx(2.0, abs=TOLERANCE_S)


@given(st.lists(st.tuples(st.floats(0, 60), st.integers(0, 60)), max_size=6), st.randoms(use_true_random=False))
@settings(max_examples=30)
def test_the_order_of_listening_changes_nothing(parts: list[tuple[float, int]], rnd: Random) -> None:
    heard = [(start, np.full(n, (at + 1) / 10, np.float32)) for at, (start, n) in enumerate(parts)]
    one, other = Activity(), Activity()
    for start, values in heard:
        one.add(start, values)
    for start, values in rnd.sample(heard, len(heard)):
        other.add(start, values)
    assert np.array_equal(one.values, other.values)
