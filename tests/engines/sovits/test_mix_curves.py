"""Speaker mixing: curves to weights, both files, what is refused."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.engines.sovits.mix_curves import mix_of, parse_upstream, read_mix, write_mix
from core.errors import BadInput

KNOWN = {"Ann": 0, "Bo": 1, "Cy": 3}
AT = np.array([0.0, 2.5, 5.0, 7.5, 10.0])


def test_fixed_shares_are_normalised() -> None:
    mix = mix_of({"Ann": 1, "Cy": 3})
    assert mix.fixed
    weights = mix.weights(AT, 10.0, KNOWN)
    assert weights.shape == (5, 4)
    assert weights == pytest.approx(np.tile([0.25, 0, 0, 0.75], (5, 1)))


def test_curves_are_straight_lines_held_at_their_ends() -> None:
    mix = mix_of({"Ann": [(0.25, 1.0), (0.75, 0.0)], "Bo": [(0.25, 0.0), (0.75, 1.0)]})
    assert not mix.fixed
    assert mix.weights(AT, 10.0, KNOWN)[:, 0] == pytest.approx([1, 1, 0.5, 0, 0])
    seconds = mix_of({"Ann": [(0, 1), (5, 0)], "Bo": [(0, 0), (5, 1)]}, in_seconds=True)
    assert seconds.weights(AT, 99.0, KNOWN)[:, 1] == pytest.approx([0, 0.5, 1, 1, 1])


def test_where_nobody_sings_all_do() -> None:
    weights = mix_of({"Ann": [(0, 0), (1, 0)]}).weights(AT, 10.0, KNOWN)
    assert weights == pytest.approx(np.tile([1 / 3, 1 / 3, 0, 1 / 3], (5, 1)))


def test_upstreams_table_is_read_as_data(tmp_path: Path) -> None:
    text = "# how to\nimport os\nspk_mix_map = {0: [[0., 0.5, 1, 0.5], [0.5, 1, 0.5, 1]], 1: [[0, 0.35, 0, 1]]}\n"
    mix = parse_upstream(text + f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    weights = mix.weights(AT, 10.0, KNOWN)
    assert weights[0] == pytest.approx([1, 0, 0, 0])
    assert weights[1] == pytest.approx(np.array([0.75, 0.25 / 0.35, 0, 0]) / (0.75 + 0.25 / 0.35))
    assert weights[4] == pytest.approx([1, 0, 0, 0])  # also the last moment belongs to the segment that ends at 1
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x = 1", "no table"),
        ("x = {0: open('f')}", "no table"),
        ("def f(:", "cannot be read"),
        ("x = {0: [[0, 1, 1]]}", "not \\[t0"),
        ("x = {0: [[0.6, 0.4, 1, 1]]}", "not in 0..1"),
        ("x = {0: [[0, 1, -1, 1]]}", "negative"),
        ("x = {0: 5}", "no list"),
        ("x = {1.5: [[0, 1, 1, 1]]}", "no speaker"),
    ],
)
def test_upstreams_mistakes_are_named(text: str, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        parse_upstream(text)


POINTS = st.lists(st.tuples(st.floats(0, 1), st.floats(0, 5)), min_size=1, max_size=6).map(
    lambda points: sorted(points, key=lambda p: p[0])
)


@given(shares=st.dictionaries(st.sampled_from(list(KNOWN)), POINTS | st.floats(0, 9), min_size=1))
def test_a_file_means_what_was_written_and_weights_add_up(
    shares: dict, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = write_mix(tmp_path_factory.mktemp("m") / "mix.json", shares)
    weights = read_mix(path).weights(AT, 10.0, KNOWN)
    assert np.array_equal(weights, mix_of(shares).weights(AT, 10.0, KNOWN))
    assert weights.sum(axis=1) == pytest.approx(np.ones(5), abs=1e-5)
    assert (weights >= 0).all()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "not JSON"),
        ("[]", "no speaker mix"),
        (json.dumps({"format": "timbre-speaker-mix-1", "speakers": {}}), "No speaker"),
        (json.dumps({"format": "timbre-speaker-mix-1", "speakers": {"Ann": -1}}), "negative"),
        (json.dumps({"format": "timbre-speaker-mix-1", "speakers": {"Ann": "x"}}), "no number"),
        (json.dumps({"format": "timbre-speaker-mix-1", "speakers": {"Ann": [[0.5, 1], [0.1, 1]]}}), "rise"),
        (json.dumps({"format": "timbre-speaker-mix-1", "speakers": {"Ann": [[0, 1, 2]]}}), "no \\(time"),
        (json.dumps({"format": "timbre-speaker-mix-1", "unit": "h", "speakers": {"Ann": 1}}), "no speaker mix"),
    ],
)
def test_what_is_wrong_in_a_file_is_named(content: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "mix.json"
    path.write_text(content)
    with pytest.raises(BadInput, match=words):
        read_mix(path)


def test_an_unknown_speaker_is_named() -> None:
    with pytest.raises(BadInput, match="Dee"):
        mix_of({"Dee": 1}).weights(AT, 1.0, KNOWN)
