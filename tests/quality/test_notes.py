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
