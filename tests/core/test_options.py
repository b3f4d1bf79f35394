"""Options are checked whole: every wrong field is named at once, in words, and nothing else is raised."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from core.errors import BadInput
from core.options import parse, problems


class Part(BaseModel):
    size: int = Field(1, ge=1)


class Choice(BaseModel):
    model_config = ConfigDict(extra="forbid")

    low: int = 1
    high: int = Field(5, le=10)
    parts: list[Part] = Field(default_factory=list)

    @model_validator(mode="after")
    def _in_order(self) -> "Choice":
        if self.low > self.high:
            raise ValueError("low is above high")
        return self


def test_nothing_gives_the_defaults() -> None:
    assert parse(Choice, None, "Choices") == parse(Choice, {}, "Choices") == Choice()


def test_every_wrong_field_is_named() -> None:
    with pytest.raises(BadInput) as err:
        parse(Choice, {"high": 11, "lwo": 1, "parts": [{}, {"size": 0}]}, "Choices", where="choices")
    assert err.value.message.startswith("Choices: ")
    for name in ("high: ", "lwo: ", "parts.1.size: "):
        assert name in err.value.message
    assert "low, high, parts" in err.value.hint
    assert err.value.where == "choices"


def test_what_concerns_no_single_field_has_a_name_too() -> None:
    with pytest.raises(BadInput, match=r"Choices: choices: .*low is above high"):
        parse(Choice, {"low": 7}, "Choices", where="choices")
    with pytest.raises(ValidationError) as err:
        Choice(low=7)
    assert problems(err.value).startswith("file: ")


@given(st.none() | st.integers() | st.lists(st.integers()) | st.dictionaries(st.text(max_size=5), st.none()))
def test_whatever_comes_is_options_or_words(data: Any) -> None:
    try:
        parse(Choice, data, "Choices")
    except BadInput as err:
        assert err.hint  # noqa: PT017 (both ends are right)
