"""Stretches of speech are Silero's own, sample for sample."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.cutting.segments import segments

# Runs of frames at one level: speech, doubt, silence. Independent frames would hardly ever make speech of 250 ms.
levels = st.lists(st.tuples(st.sampled_from([0.0, 0.2, 0.4, 0.5, 0.6, 1.0]), st.integers(1, 14)), max_size=14)


@given(levels, st.integers(0, 511), st.sampled_from([0.1, 0.3, 0.5, 0.8]))
@settings(max_examples=100)
def test_equal_to_the_package(runs: list[tuple[float, int]], missing: int, threshold: float) -> None:
    utils = pytest.importorskip("silero_vad.utils_vad")
    probabilities = [p for p, n in runs for _ in range(n)]
    n_samples = max(0, len(probabilities) * 512 - missing)
    expected = utils.get_speech_timestamps_from_probs(
        probabilities, threshold=threshold, audio_length_samples=n_samples
    )
    assert segments(probabilities, n_samples, threshold) == [(s["start"], s["end"]) for s in expected]


def test_nothing_in_nothing() -> None:
    assert segments([], 0, 0.5) == []
    assert segments(np.zeros(50).tolist(), 25600, 0.5) == []


@given(levels, st.sampled_from([0.1, 0.5, 0.9]))
@settings(max_examples=60)
def test_stretches_are_in_order_apart_and_inside(runs: list[tuple[float, int]], threshold: float) -> None:
    probabilities = [p for p, n in runs for _ in range(n)]
    n_samples = len(probabilities) * 512
    found = segments(probabilities, n_samples, threshold)
    edges = [edge for stretch in found for edge in stretch]
    assert edges == sorted(edges)
    assert all(0 <= edge <= n_samples for edge in edges)
    assert all(end - start >= 4000 for start, end in found), "nothing shorter than a syllable counts"
    assert bool(found) <= any(p >= threshold for p in probabilities)


def test_a_short_doubt_does_not_part_speech_and_a_pause_does() -> None:
    doubt = [1.0] * 20 + [0.4] * 30 + [1.0] * 20
    assert len(segments(doubt, 70 * 512, 0.5)) == 1, "above the exit threshold it goes on"
    blink = [1.0] * 20 + [0.0] * 2 + [1.0] * 20
    assert len(segments(blink, 42 * 512, 0.5)) == 1
    pause = [1.0] * 20 + [0.0] * 8 + [1.0] * 20
    assert len(segments(pause, 48 * 512, 0.5)) == 2
