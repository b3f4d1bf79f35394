"""Notes: pitch in Hz to the semitones people name."""

import math
from collections.abc import Mapping

_NAMES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
_A4_HZ = 440.0
_A4_MIDI = 69


def note_of(hz: float) -> int:
    """The nearest MIDI note (69 = A4 = 440 Hz) of a pitch above 0 Hz."""
    return round(_A4_MIDI + 12.0 * math.log2(hz / _A4_HZ))


def note_name(midi: int) -> str:
    """`60` -> `C4`."""
    return f"{_NAMES[midi % 12]}{midi // 12 - 1}"


def covered(seconds_by_note: Mapping[int, float], least_share: float = 0.005, least_s: float = 0.3) -> list[int]:
    """The notes from the lowest to the highest that were sung or said for a while.

    A note counts with at least `least_share` of all voiced time and `least_s` seconds (half of that total if all is
    shorter); stray octave errors of a pitch tracker hold less. Empty without voiced sound.
    """
    total = sum(seconds_by_note.values())
    least = min(max(least_share * total, least_s), total / 2)
    return sorted(note for note, seconds in seconds_by_note.items() if seconds >= least > 0)
