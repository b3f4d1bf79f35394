"""Clips that are never trained on: the same ones everywhere."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import BadInput
from core.training.holdout import split


@dataclass(frozen=True)
class Item:
    id: str
    sha256: str


@given(st.integers(1, 200), st.integers(1, 9), st.randoms())
def test_the_choice_depends_on_content_alone(n: int, probes: int, chance: object) -> None:
    items = [Item(str(i), f"sha{i}") for i in range(n)]
    train, held, notes = split(items, probes)
    chance.shuffle(items)  # type: ignore[attr-defined]
    again = split(items, probes)
    if notes:
        assert n < 4
        assert len(train) == n
        return
    assert {one.id for one in held} == {one.id for one in again[1]}
    assert not {one.id for one in held} & {one.id for one in train}
    assert len(train) + len(held) == n
    assert len(held) <= n / 4


def test_named_clips() -> None:
    items = [Item(str(i), f"sha{i}") for i in range(3)]
    assert [one.id for one in split(items, 1, ["2"])[1]] == ["2"]
    with pytest.raises(BadInput, match="nope"):
        split(items, 1, ["nope"])
    with pytest.raises(BadInput, match="Every clip"):
        split(items, 1, ["0", "1", "2"])
