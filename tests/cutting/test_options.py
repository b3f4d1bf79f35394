"""What may be asked of cutting, and that a wrong wish is named."""

import pytest

from core.cutting.options import CutOptions, parse_options
from core.errors import BadInput


def test_the_defaults_are_those_that_the_command_promises() -> None:
    options = parse_options(None)
    assert (options.buffer_ms, options.silence_ms, options.vad_threshold, options.sample_rate) == (100, 200, 0.5, 44100)
    assert not any((options.append, options.merge, options.fix_timing, options.sovits))
    assert parse_options({}) == options


@pytest.mark.parametrize(
    ("data", "named"),
    [
        ({"bufer_ms": 1}, ["bufer_ms"]),
        ({"buffer_ms": -1}, ["buffer_ms"]),
        ({"buffer_ms": 2001}, ["buffer_ms"]),
        ({"silence_ms": "long"}, ["silence_ms"]),
        ({"vad_threshold": float("nan")}, ["vad_threshold"]),
        ({"vad_threshold": 1.0}, ["vad_threshold"]),
        ({"sample_rate": 7999}, ["sample_rate"]),
        ({"sample_rate": 192001}, ["sample_rate"]),
        ({"language": "klingon"}, ["language"]),
        ({"speaker": "x" * 81}, ["speaker"]),
        ({"append": "maybe", "sample_rate": None, "z": 1}, ["append", "sample_rate", "z"]),
    ],
)
def test_every_wrong_field_is_named(data: dict[str, object], named: list[str]) -> None:
    with pytest.raises(BadInput) as err:
        parse_options(data)
    assert all(f"{name}:" in err.value.message for name in named)
    assert "buffer_ms, silence_ms" in err.value.hint


@pytest.mark.parametrize("rate_hz", [8000, 16000, 22050, 32000, 44100, 48000, 192000])
def test_the_rates_of_all_engines_are_allowed(rate_hz: int) -> None:
    assert parse_options({"sample_rate": rate_hz}).sample_rate == rate_hz


def test_options_are_kept_in_a_report_and_read_again() -> None:
    options = parse_options({"merge": True, "language": "ja", "speaker": '甲 "b"'})
    assert parse_options(options.model_dump()) == options
    with pytest.raises(ValueError, match="frozen"):
        options.merge = False  # type: ignore[misc]
    assert isinstance(options, CutOptions)
