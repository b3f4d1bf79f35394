"""Equaliser, place and room: the formulas' own landmarks, and the same result whatever the blocks."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import sosfreqz

from core.song.effects import RATE_HZ, Room, Track, biquad, room, sections, sides
from core.song.options import MixOptions, TrackOptions


def gain_db(track: TrackOptions, hz: float) -> float:
    """What the equaliser does at a frequency, dB."""
    _, response = sosfreqz(sections(track), worN=[hz], fs=RATE_HZ)
    return float(20 * np.log10(np.abs(response[0])))


@pytest.mark.parametrize("db", [-12.0, -3.0, 6.0])
def test_bands_reach_their_gain_where_they_should_and_leave_the_rest(db: float) -> None:
    low, mid, high = TrackOptions(low_db=db), TrackOptions(mid_db=db), TrackOptions(high_db=db)
    assert gain_db(low, 20) == pytest.approx(db, abs=0.2)
    assert gain_db(low, 200) == pytest.approx(db / 2, abs=0.05)  # a shelf's corner: half the gain
    assert gain_db(low, 8000) == pytest.approx(0, abs=0.1)
    assert gain_db(mid, 2500) == pytest.approx(db, abs=0.01)
    assert gain_db(mid, 60) == pytest.approx(0, abs=0.1)
    assert gain_db(high, 8000) == pytest.approx(db / 2, abs=0.05)
    assert gain_db(high, 20000) == pytest.approx(db, abs=0.3)
    assert gain_db(high, 300) == pytest.approx(0, abs=0.1)


def test_low_cut_takes_half_the_power_at_its_corner() -> None:
    track = TrackOptions(low_cut_hz=100)
    assert gain_db(track, 100) == pytest.approx(-3.01, abs=0.05)
    assert gain_db(track, 25) == pytest.approx(-24, abs=0.6)  # 12 dB an octave
    numerator, denominator = np.split(biquad("bell", 1000, 0.0), 2)
    assert numerator == pytest.approx(denominator)  # no gain, no filter


@given(pan=st.floats(-1, 1))
def test_a_place_keeps_the_power(pan: float) -> None:
    left, right = sides(pan)
    assert left**2 + right**2 == pytest.approx(2)
    assert (left >= right) == (pan <= 0) or left == pytest.approx(right)


def test_a_flat_track_changes_no_bit() -> None:
    sound = np.random.default_rng(0).normal(size=(500, 2)).astype(np.float32)
    assert np.array_equal(Track(TrackOptions()).push(sound), sound)
    louder = Track(TrackOptions(level_db=6.0), gain_db=-6.0).push(sound)
    assert np.array_equal(louder, sound)


@settings(max_examples=8)
@given(cuts=st.lists(st.integers(0, 3000), max_size=5))
def test_blocks_of_any_size_give_the_same(cuts: list[int]) -> None:
    sound = np.random.default_rng(1).normal(0, 0.1, (3000, 2)).astype(np.float32)
    options = MixOptions(vocals=TrackOptions(low_cut_hz=80, low_db=3, high_db=-4, pan=0.3), reverb=0.5, room_s=0.3)
    parts = np.split(sound, sorted(cuts))
    whole, pieces = Track(options.vocals), Track(options.vocals)
    np.testing.assert_allclose(np.concatenate([pieces.push(p) for p in parts]), whole.push(sound), atol=1e-6)
    once, often = Room(options), Room(options)
    np.testing.assert_allclose(np.concatenate([often.push(p) for p in parts]), once.push(sound), atol=1e-5)


def test_the_room_is_the_convolution_with_its_answer_and_dies_away_in_time() -> None:
    options = MixOptions(reverb=1.0, room_s=0.5, pre_delay_ms=30)
    click = np.zeros((RATE_HZ, 2), np.float32)
    click[100] = 1.0
    heard = Room(options).push(click)
    answer = room(0.5, 30)
    np.testing.assert_allclose(heard[100 : 100 + len(answer)], answer, atol=1e-6)
    delay = round(0.03 * RATE_HZ)
    assert np.abs(heard[: 100 + delay]).max() < 1e-6
    assert np.square(answer).sum(axis=0) == pytest.approx([1, 1], rel=1e-4)
    energy = np.cumsum(np.square(answer[::-1], dtype=np.float64).sum(axis=1))[::-1]  # Schroeder, 1965
    at = [int(np.argmax(energy < energy[0] * 10**level)) for level in (-0.5, -2.5)]  # -5 and -25 dB
    assert (at[1] - at[0]) / RATE_HZ * 3 == pytest.approx(0.5, rel=0.35)  # high bands die sooner
    left, right = answer.T
    assert abs(float(left @ right)) < 0.1  # wide
