"""What a set is, counted on clips made by hand."""

import json
from dataclasses import asdict, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.quality.figures import ClipFigures
from core.quality.set_figures import Member, set_figures, set_findings
from core.quality.texts import said
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


members = st.builds(
    Member,
    st.sampled_from(["a.wav", "b.wav", "c/ü.wav"]),
    st.sampled_from(["", "  ", "Hello.", "你好", "こんにちは", "ᚠ"]),
    st.sampled_from(["", "ann", "bo"]),
    st.booleans(),
    st.builds(
        ClipFigures,
        st.floats(0.1, 60), st.floats(-120, 0), st.floats(-120, 3), st.floats(0, 80), st.floats(0, 1),
        st.floats(0, 24000), st.floats(0, 60),
        notes=st.dictionaries(st.integers(30, 90), st.floats(0.01, 20), max_size=5),
    ),
)  # fmt: skip


@given(st.lists(members, max_size=12))
def test_the_parts_of_a_set_add_up(drawn: list[Member]) -> None:
    whole = set_figures(drawn)
    kept = [one for one in drawn if one.accepted]
    assert (whole.clips, whole.accepted) == (len(drawn), len(kept))
    assert whole.accepted_minutes <= whole.minutes
    assert sum(whole.lengths.values()) == len(kept)
    for parts in (whole.by_source, whole.by_speaker):
        assert sum(parts.values()) == pytest.approx(whole.accepted_minutes, abs=0.005)
        assert list(parts.values()) == sorted(parts.values(), reverse=True), "the largest first"
    assert whole.voiced_minutes == pytest.approx(sum(sum(one.figures.notes.values()) for one in kept) / 60, abs=0.001)
    assert whole.loudness == sorted(whole.loudness)
    assert whole.snr == sorted(whole.snr)
    assert len(whole.snr) == (3 if kept else 0)
    assert whole.with_text == sum(bool(one.text.strip()) for one in kept)
    json.dumps(asdict(whole), allow_nan=False)


@given(st.lists(members, max_size=8))
def test_order_does_not_matter(drawn: list[Member]) -> None:
    one, other = set_figures(drawn), set_figures(drawn[::-1])
    assert (one.low_note, one.high_note, one.gaps, one.lengths, one.characters) == (
        other.low_note, other.high_note, other.gaps, other.lengths, other.characters,
    )  # fmt: skip
    assert (one.minutes, one.loudness, one.bandwidth_hz) == (other.minutes, other.loudness, other.bandwidth_hz)


@pytest.mark.parametrize("preset", ["svc", "tts"])
@given(drawn=st.lists(members, max_size=10))
@settings(max_examples=30)
def test_remarks_never_keep_a_clip_out_and_all_have_words(preset: str, drawn: list[Member]) -> None:
    for finding in set_findings(set_figures(drawn), parse_thresholds(preset), ["θ"]):
        assert finding.severity == "remark"
        for language in ("en", "zh"):
            words = said(finding, language)
            assert words.title != finding.code
            assert words.why or words.advice


def test_missing_sounds_are_named() -> None:
    (found,) = [f for f in set_findings(set_figures([ONE] * 9), parse_thresholds(), ["ʃ", "θ"]) if "sound" in f.code]
    assert "ʃ θ" in json.dumps(found.params, ensure_ascii=False)
