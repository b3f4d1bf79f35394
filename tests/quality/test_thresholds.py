"""Presets, changes on top of them, and what is refused."""

import pytest

from core.errors import BadInput
from core.quality.options import parse_qa_options
from core.quality.thresholds import PRESETS, SPEECH_RATES, parse_thresholds


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_hold_together(preset: str) -> None:
    limits = parse_thresholds(preset)
    assert limits.snr_reject_db < limits.snr_review_db


def test_tts_asks_for_more_than_svc() -> None:
    svc, tts = parse_thresholds("svc"), parse_thresholds("tts")
    assert (tts.need_text, svc.need_text) == (True, False)
    assert tts.snr_review_db > svc.snr_review_db
    assert svc.speech_review is None, "Silero hears singing as no speech"


def test_every_threshold_can_be_changed() -> None:
    for name, value in parse_thresholds("tts").model_dump().items():
        assert getattr(parse_thresholds("svc", {**parse_thresholds("tts").model_dump(), name: value}), name) == value
    changed = parse_thresholds("tts", {"snr_review_db": 33, "speech_rates": {"han": [1, 5]}})
    assert changed.snr_review_db == 33
    assert changed.speech_rates == {**SPEECH_RATES, "han": (1.0, 5.0)}


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"snr_reviev_db": 3}, "snr_reviev_db"),
        ({"snr_review_db": 3, "snr_reject_db": 9}, "snr_reject_db (9)"),
        ({"clipped_review": "much"}, "clipped_review"),
        ({"snr_review_db": float("nan")}, "snr_review_db"),
        ({"speech_rates": {"klingon": [1, 2]}}, "klingon"),
        ({"speech_rates": {"han": [5, 2]}}, "han"),
    ],
)
def test_what_cannot_be_is_named(changes: dict[str, object], named: str) -> None:
    with pytest.raises(BadInput) as err:
        parse_thresholds("svc", changes)
    assert named in err.value.message


def test_unknown_presets_and_options() -> None:
    with pytest.raises(BadInput, match="svc, tts"):
        parse_thresholds("sing")
    with pytest.raises(BadInput, match="colour"):
        parse_qa_options({"colour": 1})
