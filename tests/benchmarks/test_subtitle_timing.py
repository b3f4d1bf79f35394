"""What the figures of the timing benchmark mean, on a made-up conversation."""

import numpy as np
import pytest

from benchmarks import subtitle_timing
from benchmarks.subtitle_timing import KINDS, judge, markdown, worse
from core.cutting.offset import BIN_S


@pytest.fixture
def talk() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(4)
    times, now = [], 2.0
    while now < 150:
        length = float(rng.uniform(1, 5))
        times.append((now, now + length))
        now += length + float(rng.uniform(0.3, 1.5))
    activity = np.zeros(round(160 / BIN_S), np.float32)
    for start, end in times:
        activity[round(start / BIN_S) : round(end / BIN_S)] = 1.0
    return np.array(times), activity


def test_counts_add_up_and_what_is_left_is_named(
    talk: tuple[np.ndarray, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subtitle_timing, "OFFSETS_S", (0, 0.001, 5, 200))
    monkeypatch.setattr(subtitle_timing, "DRIFTS", (1, 24 / 25))
    row = judge("all cues", *talk)
    assert row["tried"] == row["found"] + row["missed"] + row["wrong"] == 4, "what moves nothing is not tried"
    assert (row["found"], row["false"], row["right"]) == (4, 0, 1)
    monkeypatch.setattr(subtitle_timing, "OFFSETS_S", (75,))
    beyond = judge("all cues", *talk)
    assert beyond["missed"] + beyond["wrong"] == len(beyond["left"]) == 2
    page = markdown({"rows": [{"recording": "talk", **beyond}], "foreign": {"tried": 2, "alarms": 0}})
    assert "| talk | all cues |" in page
    assert page.count("- talk, all cues: +75 s") == 2


@pytest.mark.parametrize("kind", KINDS)
def test_worse_subtitles_are_in_order_and_of_the_same_talk(kind: str, talk: tuple[np.ndarray, np.ndarray]) -> None:
    times, activity = worse(kind, *talk, seed=1)
    assert (np.diff(times[:, 0]) >= 0).all()
    assert (times[:, 1] > times[:, 0]).all()
    assert 0 < len(times) <= len(talk[0])
    assert activity.size == talk[1].size
