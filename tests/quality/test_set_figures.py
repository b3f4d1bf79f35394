"""What a set is, counted on clips made by hand."""

from dataclasses import replace
from typing import Any

from core.quality.figures import ClipFigures
from core.quality.set_figures import Member, set_figures, set_findings
from core.quality.thresholds import parse_thresholds

FIGURES = ClipFigures(
    duration_s=6.0, lufs=-20.0, true_peak_dbtp=-1.0, snr_db=40.0, clipped_fraction=0.0, bandwidth_hz=11000.0,
    active_s=5.9, notes={57: 2.0, 58: 1.0, 60: 2.0},
)  # fmt: skip
ONE = Member("a.wav", "Hello, zoo!", "ann", True, FIGURES)


def codes(members: list[Member], preset: str = "svc", **changes: Any) -> list[str]:
    return [one.code for one in set_findings(set_figures(members), parse_thresholds(preset, changes))]


def test_only_accepted_clips_count() -> None:
    whole = set_figures([ONE, replace(ONE, accepted=False), replace(ONE, source="b.wav", text="")])
    assert (whole.clips, whole.accepted, whole.minutes, whole.accepted_minutes) == (3, 2, 0.3, 0.2)
    assert whole.notes == {57: 4.0, 58: 2.0, 60: 4.0}
    assert (whole.low_note, whole.high_note, whole.semitones, whole.gaps) == ("A3", "C4", 3, ["B3"])
    assert whole.by_source == {"a.wav": 0.1, "b.wav": 0.1}
    assert whole.characters == {"latin": 5}
    assert whole.with_text == 1
    assert whole.lengths == {"short": 0, "middle": 2, "long": 0}


def test_a_small_even_set_is_remarked_on() -> None:
    assert codes([ONE] * 10) == ["little_material", "narrow_range", "range_gaps"]
    assert codes([ONE] * 10, set_minutes=0.5, set_semitones=2) == ["range_gaps"]


def test_balance_length_loudness_and_dullness() -> None:
    quiet: dict[str, Any] = {"set_minutes": 0.0, "set_semitones": 0.0}
    plain = replace(ONE, figures=replace(FIGURES, notes={60: 1.0}))
    assert codes([plain] * 10, **quiet) == []
    assert codes([plain] * 10 + [replace(plain, source="b")], **quiet) == ["one_source"]
    short = replace(plain, figures=replace(plain.figures, duration_s=1.5))
    assert codes([short] * 10, **quiet) == ["many_short"]
    soft = replace(plain, figures=replace(plain.figures, lufs=-33.0))
    assert codes([plain, soft] * 5, **quiet) == ["uneven_loudness"]
    dull = replace(plain, figures=replace(plain.figures, bandwidth_hz=6000.0))
    assert codes([dull] * 5, **quiet) == ["dull_set"]
    assert codes([replace(plain, text="")] * 5, "tts", **quiet) == ["set_without_text"]


def test_nothing_accepted_says_that_alone() -> None:
    assert codes([replace(ONE, accepted=False)]) == ["none_accepted"]
    assert codes([]) == ["none_accepted"]
    assert set_figures([]).low_note == ""
