"""Each limit does what it says, and only that."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.quality.figures import ClipFigures
from core.quality.findings import CLIP_CODES, ClipFinding, Surroundings, clip_findings, gathered, verdict_of
from core.quality.thresholds import parse_thresholds

GOOD = ClipFigures(
    duration_s=5.0, lufs=-20.0, true_peak_dbtp=-1.0, snr_db=45.0, clipped_fraction=0.0, bandwidth_hz=12000.0,
    active_s=4.8, rt60_s=0.28, speech_s=4.5, speech_ratio=0.9, voiced_share=0.6,
)  # fmt: skip
TEXT = "The old harbour wakes before the sun, and boats slip out."
NOWHERE = Surroundings()


def codes(figures: ClipFigures, text: str = TEXT, around: Surroundings = NOWHERE, preset: str = "tts") -> list[str]:
    return [one.code for one in clip_findings(figures, text, around, parse_thresholds(preset))]


@pytest.mark.parametrize("preset", ["svc", "tts"])
def test_a_good_clip_is_accepted(preset: str) -> None:
    assert codes(GOOD, preset=preset) == []
    assert verdict_of([]) == "accepted"


@pytest.mark.parametrize(
    ("changes", "code", "severity"),
    [
        ({"duration_s": 0.2}, "too_short", "reject"),
        ({"duration_s": 0.8}, "too_short", "review"),
        ({"duration_s": 20.0}, "too_long", "review"),
        ({"snr_db": 15.0}, "noisy", "review"),
        ({"snr_db": 3.0}, "noisy", "reject"),
        ({"clipped_fraction": 0.001}, "clipped", "review"),
        ({"clipped_fraction": 0.1}, "clipped", "reject"),
        ({"true_peak_dbtp": 2.0}, "hot_peaks", "review"),
        ({"lufs": -50.0}, "too_soft", "review"),
        ({"lufs": -4.0}, "too_loud", "review"),
        ({"rt60_s": 0.7}, "reverberant", "review"),
        ({"rt60_s": 1.5}, "reverberant", "reject"),
        ({"speech_ratio": 0.2}, "little_speech", "review"),
        ({"speech_ratio": 0.0}, "little_speech", "reject"),
        ({"voiced_share": 0.01}, "little_voice", "review"),
        ({"speech_s": 1.0}, "text_pace", "review"),
    ],
)
def test_one_limit_one_finding(changes: dict[str, float], code: str, severity: str) -> None:
    found = clip_findings(replace(GOOD, **changes), TEXT, NOWHERE, parse_thresholds("tts"))  # type: ignore[arg-type]
    assert [(one.code, one.severity) for one in found] == [(code, severity)]
    assert verdict_of(found) == {"reject": "rejected", "review": "review"}[severity]
    assert found[0].figure is not None
    assert found[0].limit is not None


@pytest.mark.parametrize(
    ("around", "code"),
    [
        (Surroundings(source_bandwidth_hz=4000.0), "narrow_band"),
        (Surroundings(source_rt60_s=0.7), "reverberant"),
        (Surroundings(duplicate_of="other", similarity=0.99), "duplicate"),
        (Surroundings(speaker_z=9.0), "other_speaker"),
        (Surroundings(error_rate=0.5), "text_differs"),
    ],
)
def test_what_the_set_tells(around: Surroundings, code: str) -> None:
    assert codes(GOOD, around=around) == [code]


def test_singing_is_not_asked_for_speech_or_text() -> None:
    sung = replace(GOOD, speech_ratio=0.0, speech_s=0.0)
    assert codes(sung, text="", preset="svc") == []
    assert set(codes(sung, text="", preset="tts")) == {"little_speech", "no_text"}


def test_a_soft_clip_alone_is_not_narrow() -> None:
    assert codes(replace(GOOD, bandwidth_hz=3000.0), around=Surroundings(source_bandwidth_hz=9000.0)) == []


def test_of_silence_nothing_else_is_said() -> None:
    assert codes(replace(GOOD, active_s=0.0, snr_db=0.0, lufs=-120.0)) == ["silent"]


def test_another_language_is_put_up_for_review() -> None:
    def told(heard: str, expected: str) -> list[str]:
        around = Surroundings(language=heard, expected_language=expected)
        return [one.code for one in clip_findings(GOOD, "", around, parse_thresholds())]

    assert told("it", "en") == ["other_language"]
    assert told("en", "en") == told("", "en") == told("it", "") == []


def test_what_was_not_measured_is_no_fault() -> None:
    bare = ClipFigures(5.0, -20.0, -1.0, 45.0, 0.0, 12000.0, 4.8)
    assert codes(bare) == []


def test_gathering_puts_the_worst_first() -> None:
    lines = gathered(
        {
            "a": [ClipFinding("noisy", "review", 14.0, 15.0)],
            "b": [ClipFinding("noisy", "review", 9.0, 15.0), ClipFinding("clipped", "reject", 0.2, 0.005)],
        }
    )
    assert [(line.code, line.clips) for line in lines] == [("clipped", ["b"]), ("noisy", ["a", "b"])]
    assert (lines[1].low, lines[1].high, lines[1].limit) == (9.0, 14.0, 15.0)


def test_every_code_is_listed() -> None:
    from core.dataset.verdict import REASONS

    assert set(CLIP_CODES) <= set(REASONS), "the table names these codes as reasons"


LIMITS = parse_thresholds("tts")
AT_THE_LIMIT = {
    "duration_s": [LIMITS.min_duration_s, LIMITS.max_duration_s],
    "snr_db": [LIMITS.snr_review_db],
    "clipped_fraction": [LIMITS.clipped_review],
    "true_peak_dbtp": [LIMITS.max_true_peak_dbtp],
    "lufs": [LIMITS.min_lufs, LIMITS.max_lufs],
    "rt60_s": [LIMITS.rt60_review_s],
    "speech_ratio": [LIMITS.speech_review],
    "voiced_share": [LIMITS.voiced_review],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, all_ in AT_THE_LIMIT.items() for value in all_])
def test_what_is_just_at_a_limit_keeps_it(name: str, value: float) -> None:
    assert codes(replace(GOOD, **{name: value})) == []  # type: ignore[arg-type]


def test_the_worst_comes_first_and_decides() -> None:
    bad = replace(GOOD, snr_db=3.0, lufs=-50.0, duration_s=20.0)
    found = clip_findings(bad, "", NOWHERE, LIMITS)
    assert found[0].code == "noisy"
    assert [one.severity for one in found] == ["reject", "review", "review", "review"]
    assert verdict_of(found) == "rejected"
    assert verdict_of(found[1:]) == "review"
    assert verdict_of([ClipFinding("x", "remark")]) == "accepted", "a remark keeps nothing out"


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("max_true_peak_dbtp", {"true_peak_dbtp": 9.0}),
        ("min_lufs", {"lufs": -60.0}),
        ("max_lufs", {"lufs": 3.0}),
        ("rt60_review_s", {"rt60_s": 0.9}),
        ("voiced_review", {"voiced_share": 0.0}),
    ],
)
def test_a_limit_that_is_none_is_not_looked_at(name: str, changes: dict[str, float]) -> None:
    clip = replace(GOOD, **changes)  # type: ignore[arg-type]
    without = parse_thresholds("svc", {name: None})
    assert clip_findings(clip, TEXT, NOWHERE, parse_thresholds("svc"))
    assert clip_findings(clip, TEXT, NOWHERE, without) == []


def test_copies_and_strangers_are_not_looked_for_where_nobody_asks() -> None:
    off = parse_thresholds("svc", {"speaker_z": None})
    assert clip_findings(GOOD, TEXT, Surroundings(speaker_z=50.0), off) == []


def test_the_source_knows_the_room_better_than_one_clip() -> None:
    assert codes(replace(GOOD, rt60_s=2.0), around=Surroundings(source_rt60_s=0.3)) == []
    assert codes(replace(GOOD, rt60_s=0.1), around=Surroundings(source_rt60_s=2.0)) == ["reverberant"]


def test_a_text_too_fast_or_too_slow_names_the_limit_that_it_breaks() -> None:
    (fast,) = clip_findings(replace(GOOD, speech_s=1.0), TEXT, NOWHERE, LIMITS)
    (slow,) = clip_findings(replace(GOOD, speech_s=30.0), TEXT, NOWHERE, LIMITS)
    assert (fast.figure or 0) > (fast.limit or 0) == 24.0
    assert (slow.figure or 9) < (slow.limit or 0) == 4.0


severities = st.sampled_from(["remark", "review", "reject"])
some = st.builds(
    ClipFinding, st.sampled_from(CLIP_CODES), severities, st.none() | st.floats(-9, 9), st.none() | st.just(1.0)
)


@given(st.dictionaries(st.text(max_size=3), st.lists(some, max_size=4), max_size=6))
def test_gathering_loses_nothing(by_clip: dict[str, list[ClipFinding]]) -> None:
    lines = gathered(by_clip)
    told = sorted((line.code, line.severity, clip) for line in lines for clip in line.clips)
    assert told == sorted((one.code, one.severity, clip) for clip, found in by_clip.items() for one in found)
    ranks = [["reject", "review", "remark"].index(line.severity) for line in lines]
    assert ranks == sorted(ranks)
    for line in lines:
        figures = [
            one.figure for found in by_clip.values() for one in found
            if (one.code, one.severity) == (line.code, line.severity) and one.figure is not None
        ]  # fmt: skip
        assert (line.low, line.high) == (min(figures, default=None), max(figures, default=None))
