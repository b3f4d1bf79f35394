"""Pitch and its names."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.quality.notes import covered, note_name, note_of


@pytest.mark.parametrize(("hz", "name"), [(440.0, "A4"), (261.6, "C4"), (82.4, "E2"), (1046.5, "C6"), (69.3, "C#2")])
def test_names(hz: float, name: str) -> None:
    assert note_name(note_of(hz)) == name


@given(st.integers(12, 120))
def test_notes_come_back_from_their_pitch(note: int) -> None:
    assert note_of(440.0 * 2 ** ((note - 69) / 12)) == note


def test_a_stray_octave_error_is_no_note_that_the_voice_reaches() -> None:
    assert covered({57: 20.0, 58: 30.0, 60: 10.0, 81: 0.04}) == [57, 58, 60]
    assert covered({}) == []
    assert covered({60: 0.05, 62: 0.05}) == [60, 62], "of very little sound all that is held counts"


@given(st.integers(0, 127))
def test_every_note_has_a_name_of_its_own(note: int) -> None:
    name = note_name(note)
    assert name.rstrip("-0123456789") in ["C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B"]
    assert note_name(note + 12).rstrip("-0123456789") == name.rstrip("-0123456789")
    assert name not in {note_name(other) for other in range(128) if other != note}


@given(st.floats(30.0, 2000.0), st.floats(-49.0, 49.0))
def test_a_note_is_the_nearest_semitone(hz: float, cents: float) -> None:
    centre = 440.0 * 2 ** ((note_of(hz) - 69) / 12)
    assert note_of(centre * 2 ** (cents / 1200)) == note_of(hz)
    assert note_of(2 * hz) == note_of(hz) + 12


@given(st.dictionaries(st.integers(30, 90), st.floats(0.0, 30.0), max_size=12))
def test_what_is_covered_was_sung_for_a_while(seconds: dict[int, float]) -> None:
    found = covered(seconds)
    assert found == sorted(found)
    assert all(seconds[note] > 0 for note in found)
    if found:
        least = min(seconds[note] for note in found)
        assert all(held < least for note, held in seconds.items() if note not in found), "no longer note is left out"
