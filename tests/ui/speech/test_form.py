"""The settings of each engine: what it has is asked for, within its bounds; what another has is not sent."""

import pytest

from ui.speech.form import EXPERT, MAIN, bounds, engines, fields_of
from ui.texts import texts


@pytest.mark.parametrize("engine", engines())
@pytest.mark.parametrize("lang", ["en", "zh"])
def test_every_field_has_words(engine: str, lang: str) -> None:
    t = texts(lang)
    for name in fields_of(engine):
        assert t(f"speech.opt_{name}")
        assert t(f"speech.opt_{name}_info")


def test_fields_are_the_engines_own() -> None:
    assert "cfg" in fields_of("voxcpm")
    assert "cfg" not in fields_of("cosyvoice2")
    assert "speaker" in fields_of("builtin")
    assert {name for engine in engines() for name in fields_of(engine)} == {*MAIN, *EXPERT}, "none is for nobody"


def test_bounds_are_pydantics() -> None:
    assert bounds(fields_of("voxcpm")["steps"]) == (2, 100)
    assert bounds(fields_of("builtin")["speed"]) == (0.25, 4.0)
