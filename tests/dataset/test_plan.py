"""Where recordings are cut: everything loud is kept, nothing is too long, and cuts fall where it is quiet."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from core.audio.quality import Quality
from core.audio.vad import Span
from core.dataset.options import PrepareOptions, parse_options
from core.dataset.plan import Envelope, plan_cuts
from core.dataset.verdict import REASONS, judge, recording_is_narrow
from core.errors import BadInput

HOP = 20  # samples, at a rate of 1000: 20 ms
RATE = 1000


def envelope(plan: list[tuple[float, float]]) -> Envelope:
    """Frames of (seconds, level)."""
    levels = np.concatenate([np.full(round(s * RATE / HOP), level) for s, level in plan])
    return Envelope(np.append(levels, levels[-1]), HOP, levels.size * HOP, RATE)


def seconds(cuts: list[tuple[int, int]]) -> list[tuple[float, float]]:
    return [(round(a / RATE, 2), round(b / RATE, 2)) for a, b in cuts]


LOUD, SOFT = 0.1, 1e-4
plans = st.lists(st.tuples(st.floats(0.02, 20), st.sampled_from([LOUD, SOFT])), min_size=1, max_size=15)
options_strategy = st.builds(
    lambda low, times: PrepareOptions(min_clip_s=low, max_clip_s=min(60.0, low * times)),
    st.floats(0.5, 5),
    st.floats(2, 10),
).filter(lambda o: o.max_clip_s >= 2 * o.min_clip_s)


@given(plans, options_strategy)
@hypothesis_settings(max_examples=150)
def test_cuts_are_well_formed_and_keep_every_loud_frame(
    plan: list[tuple[float, float]], options: PrepareOptions
) -> None:
    measured = envelope(plan)
    cuts = plan_cuts(measured, options, -40.0)
    assert all(0 <= a < b <= measured.n_samples for a, b in cuts)
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(cuts))
    assert all((b - a) / RATE <= options.max_clip_s for a, b in cuts)
    covered = np.zeros(measured.rms.size, bool)
    for a, b in cuts:
        covered[a // HOP : -(-b // HOP) + 1] = True
    assert covered[measured.rms >= 0.01].all()


@given(st.lists(st.tuples(st.floats(0, 5), st.floats(0.05, 30)), max_size=10), options_strategy)
@hypothesis_settings(max_examples=100)
def test_spans_of_speech_are_kept(gaps: list[tuple[float, float]], options: PrepareOptions) -> None:
    at, spans = 0.0, []
    for gap, length in gaps:
        spans.append(Span(at + gap, at + gap + length))
        at += gap + length
    measured = envelope([(at + 1.0, LOUD)])
    cuts = plan_cuts(measured, options, -40.0, spans)
    assert all((b - a) / RATE <= options.max_clip_s for a, b in cuts)
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(cuts))
    inside = sum(b - a for a, b in cuts) / RATE
    assert inside >= sum(s.end_s - s.start_s for s in spans) - 0.04 * len(cuts) - 1e-6


def test_long_speech_is_cut_at_its_quietest_place() -> None:
    plan = [(7.0, LOUD), (0.16, 0.03), (9.0, LOUD), (0.16, 0.03), (4.0, LOUD)]
    cuts = seconds(plan_cuts(envelope(plan), PrepareOptions(), -40.0))
    assert len(cuts) == 3
    assert cuts[0][1] == pytest.approx(7.08, abs=0.1)
    assert cuts[1][1] == pytest.approx(16.24, abs=0.1)


def test_sound_without_any_pause_still_fits() -> None:
    cuts = seconds(plan_cuts(envelope([(100.0, LOUD)]), PrepareOptions(), -40.0))
    assert cuts[0][0] == 0
    assert cuts[-1][1] == 100
    assert all(1.0 <= b - a <= 12.0 for a, b in cuts)


def test_short_neighbours_are_joined_and_long_pauses_left_out() -> None:
    word = [(0.8, LOUD), (0.4, SOFT)]
    cuts = seconds(plan_cuts(envelope([*word, *word, *word, *word, (6.0, SOFT), (3.0, LOUD)]), PrepareOptions(), -40.0))
    assert len(cuts) == 2
    assert cuts[0][0] == 0
    assert cuts[0][1] == pytest.approx(4.4 + 0.25, abs=0.1)
    assert cuts[1][0] == pytest.approx(10.8 - 0.25, abs=0.1)


def test_a_short_word_takes_some_silence_with_it() -> None:
    cuts = seconds(plan_cuts(envelope([(5.0, SOFT), (0.4, LOUD), (5.0, SOFT)]), PrepareOptions(), -40.0))
    assert len(cuts) == 1
    assert cuts[0][1] - cuts[0][0] == pytest.approx(1.0, abs=0.05)
    assert cuts[0][0] < 5.0 < 5.4 < cuts[0][1]


def test_silence_gives_nothing() -> None:
    assert plan_cuts(envelope([(20.0, SOFT)]), PrepareOptions(), -40.0) == []
    assert plan_cuts(envelope([(20.0, SOFT)]), PrepareOptions(), -40.0, []) == []


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"max_clip_s": 5, "min_clip_s": 3}, "twice"),
        ({"rate": 1}, "rate"),
        ({"slicer": "magic"}, "slicer"),
        ({"threshold_db": float("nan")}, "threshold_db"),
        ({"min_pause_s": 2, "min_clip_s": 1}, "min_pause_s"),
        ({"target_lufs": 3, "min_snr_db": -1}, "min_snr_db"),
    ],
)
def test_options_that_cannot_be(data: dict[str, object], words: str) -> None:
    with pytest.raises(BadInput, match=words) as caught:
        parse_options(data)
    assert "max_clip_s" in caught.value.hint


def figures(**changes: float) -> Quality:
    good = {
        "duration_s": 5.0,
        "peak_db": -3.0,
        "lufs": -20.0,
        "snr_db": 40.0,
        "clipped_fraction": 0.0,
        "silence_fraction": 0.2,
        "bandwidth_hz": 10_000.0,
        "dc": 0.0,
    }
    return Quality(**{**good, **changes})


@pytest.mark.parametrize(
    ("changes", "verdict", "reasons"),
    [
        ({}, "accepted", []),
        ({"duration_s": 0.999}, "accepted", []),
        ({"duration_s": 0.5}, "rejected", ["too_short"]),
        ({"duration_s": 20.0}, "review", ["too_long"]),
        ({"peak_db": float("-inf"), "snr_db": 0.0}, "rejected", ["silent"]),
        ({"snr_db": 10.0}, "review", ["noisy"]),
        ({"snr_db": 3.0}, "rejected", ["noisy"]),
        ({"clipped_fraction": 0.001}, "review", ["clipped"]),
        ({"clipped_fraction": 0.02, "snr_db": 10.0}, "rejected", ["clipped", "noisy"]),
        ({"silence_fraction": 0.9}, "review", ["mostly_silent"]),
    ],
)
def test_verdicts(changes: dict[str, float], verdict: str, reasons: list[str]) -> None:
    assert judge(figures(**changes), PrepareOptions()) == (verdict, reasons)
    assert set(reasons) <= set(REASONS)


def test_a_narrow_recording_is_known_by_most_of_its_clips() -> None:
    assert recording_is_narrow([4000.0] * 20 + [9000.0])
    assert not recording_is_narrow([4000.0] * 5 + [9000.0] * 5)
    assert not recording_is_narrow([])
