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
