"""Steps in order, each once; what cannot be is named."""

import pytest

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
