"""Steps in order, each once; what cannot be is named."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.cleaning.options import STEPS, parse_clean_options
from core.cleaning.steps import STEP_FUNCTIONS
from core.errors import BadInput


def test_every_step_is_there() -> None:
    assert set(STEP_FUNCTIONS) == set(STEPS)
    assert parse_clean_options({"steps": list(STEPS)}).steps == STEPS


@pytest.mark.parametrize(
    ("data", "named"),
    [
        ({"steps": ["polish"]}, "steps.0"),
        ({"steps": []}, "empty"),
        ({"steps": ["trim", "trim"]}, "trim twice"),
        ({"steps": ["highpass", "separate"]}, "must come first"),
        ({"highpass_hz": 9000}, "highpass_hz"),
        ({"target_lufs": float("nan")}, "target_lufs"),
        ({"volume": 11}, "volume"),
    ],
)
def test_what_cannot_be_is_named(data: dict[str, object], named: str) -> None:
    with pytest.raises(BadInput) as err:
        parse_clean_options(data)
    assert named in err.value.message
    assert "denoise" in err.value.hint


def test_the_defaults_are_what_a_recording_of_speech_wants() -> None:
    options = parse_clean_options(None)
    assert options.steps == ("highpass", "denoise", "loudness")
    assert parse_clean_options({}) == options
    assert parse_clean_options(options.model_dump()) == options, "what a record keeps can be asked again"


@pytest.mark.parametrize(
    "field", ["highpass_hz", "denoise_db", "gate_db", "trim_pad_s", "target_lufs", "true_peak_dbtp"]
)
@pytest.mark.parametrize("value", [float("inf"), float("-inf"), -1e9, 1e9, "loud", None])
def test_no_number_is_taken_that_no_filter_could_use(field: str, value: object) -> None:
    with pytest.raises(BadInput, match=field):
        parse_clean_options({field: value})


@given(st.permutations([step for step in STEPS if step != "separate"]), st.integers(1, 6), st.booleans())
def test_any_order_goes_if_separation_is_first(order: list[str], n: int, separate: bool) -> None:
    steps = ["separate"] * separate + order[:n]
    assert list(parse_clean_options({"steps": steps}).steps) == steps
    with pytest.raises(BadInput, match="must come first"):
        parse_clean_options({"steps": [*order[:n], "separate"]})


def test_every_wrong_field_is_named_at_once() -> None:
    with pytest.raises(BadInput) as err:
        parse_clean_options({"gate_db": 1, "format": "mp3", "colour": "red", "steps": ["trim", "sing"]})
    assert all(name in err.value.message for name in ("gate_db", "format", "colour", "steps.1"))
