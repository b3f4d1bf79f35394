"""Blind tests: equal loudness, names that tell nothing, votes that stay, and honest statistics."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from core.audio.loudness import integrated_lufs
from core.errors import BadInput, Conflict, NotFound
from core.training import listening
from core.training.listening import ListeningTest, Round, at_least, result

RATE_HZ = 44100


@pytest.fixture
def sides(tmp_path: Path) -> tuple[list[Path], list[Path]]:
    """Two sets of two tones, the second set 20 dB softer."""
    t = np.arange(RATE_HZ) / RATE_HZ
    made: tuple[list[Path], list[Path]] = ([], [])
    for side, gain in zip(made, (0.5, 0.05), strict=True):
        for index, hz in enumerate((300, 700)):
            side.append(tmp_path / f"{gain}_{index}.flac")
            soundfile.write(side[-1], gain * np.sin(2 * np.pi * hz * t), RATE_HZ)
    return made


def test_what_a_listener_sees_tells_nothing(tmp_path: Path, sides: tuple[list[Path], list[Path]]) -> None:
    test = listening.create(tmp_path, ("step 1", sides[0]), ("step 2", sides[1]), rounds=12, seed=3)
    loudness, names = [], set()
    while (asked := listening.next_question(tmp_path, test)) is not None:
        for path in (asked.first, asked.second):
            audio, rate_hz = soundfile.read(path, dtype="float32")
            loudness.append(integrated_lufs(audio, rate_hz))
            names.add(path.name)
        test = listening.vote(tmp_path, test.id, asked.number, "first")
    assert max(loudness) - min(loudness) < 0.1
    assert len(names) == 4
    assert all(name[:4].isdigit() for name in names)
    assert {row.swapped for row in test.rounds} == {True, False}
    found = listening.close(tmp_path, test.id)
    assert found.n_voted == 12
    assert found.for_a == sum(not row.swapped for row in test.rounds)
    with pytest.raises(Conflict, match="closed"):
        listening.vote(tmp_path, test.id, 0, "second")


def test_votes_survive_the_studio_and_may_be_changed(tmp_path: Path, sides: tuple[list[Path], list[Path]]) -> None:
    test = listening.create(tmp_path, ("a", sides[0]), ("b", sides[1]), rounds=3, seed=1)
    listening.vote(tmp_path, test.id, 1, "first")
    listening.vote(tmp_path, test.id, 1, "same")
    back = listening.load(tmp_path, test.id)
    assert [row.choice for row in back.rounds] == [None, "same", None]
    assert [one.id for one in listening.list_tests(tmp_path)] == [test.id]
    assert result(back).same == 1
    with pytest.raises(BadInput):
        listening.vote(tmp_path, test.id, 1, "third")  # type: ignore[arg-type]
    with pytest.raises(NotFound):
        listening.vote(tmp_path, test.id, 3, "first")
    with pytest.raises((NotFound, BadInput)):
        listening.load(tmp_path, "../../etc")
    (tmp_path / "listening" / test.id / "test.json").write_text(json.dumps({"rounds": 3}))
    assert listening.list_tests(tmp_path) == []


def test_x_is_one_of_the_two(tmp_path: Path, sides: tuple[list[Path], list[Path]]) -> None:
    test = listening.create(tmp_path, ("a", sides[0]), ("b", sides[1]), kind="abx", rounds=10, seed=5)
    for number, row in enumerate(test.rounds):
        assert row.x == (row.first if row.x_is_first else row.second)
        listening.vote(tmp_path, test.id, number, "first" if row.x_is_first else "second")
    found = listening.close(tmp_path, test.id)
    assert (found.for_a, found.for_b, found.sure) == (10, 0, True)
    assert found.p_value == pytest.approx(1 / 1024)
    assert "can be heard" in found.words


def test_sides_must_match(tmp_path: Path, sides: tuple[list[Path], list[Path]]) -> None:
    with pytest.raises(BadInput):
        listening.create(tmp_path, ("a", sides[0]), ("b", sides[1][:1]))
    with pytest.raises(BadInput):
        listening.create(tmp_path, ("a", []), ("b", []))


def votes(for_a: int, for_b: int, same: int = 0) -> ListeningTest:
    rows = [Round("1", "2", None, swapped=False, x_is_first=True, choice="first") for _ in range(for_a)]
    rows += [Round("2", "1", None, swapped=True, x_is_first=True, choice="first") for _ in range(for_b)]
    rows += [Round("1", "2", None, swapped=False, x_is_first=True, choice="same") for _ in range(same)]
    return ListeningTest("t", "ab", "step 1", "step 2", 0.0, rows)


def test_how_sure_a_preference_is() -> None:
    assert result(votes(9, 1)).p_value == pytest.approx(22 / 1024)
    assert result(votes(9, 1)).sure
    assert "step 1 is preferred" in result(votes(9, 1)).words
    assert "step 2 is preferred" in result(votes(1, 9)).words
    assert not result(votes(7, 3, same=4)).sure
    assert result(votes(7, 3, same=4)).same == 4
    assert "No clear preference" in result(votes(5, 5)).words
    assert result(votes(0, 0, same=3)).words.startswith("No vote")
    assert not result(votes(0, 0)).sure


@given(n=st.integers(0, 40), k=st.integers(0, 40))  # beyond, neighbours are one float
def test_the_coin(n: int, k: int) -> None:
    value = at_least(min(k, n), n)
    assert 0.0 < value <= 1.0
    assert at_least(0, n) == 1.0
    if k < n:
        assert at_least(k + 1, n) < value


def test_a_seed_repeats_the_order(tmp_path: Path, sides: tuple[list[Path], list[Path]]) -> None:
    def order(seed: int) -> list[tuple[bool, bool]]:
        test = listening.create(tmp_path, ("a", sides[0]), ("b", sides[1]), rounds=16, seed=seed)
        return [(row.swapped, row.x_is_first) for row in test.rounds]

    assert order(7) == order(7)
    assert order(7) != order(8)
