"""Speed."""

import itertools

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from core.engines.cosyvoice2.stretch import Stretch

MEL = torch.randn(1, 3, 41, generator=torch.Generator().manual_seed(2))


def run(speed: float, cuts: list[int]) -> torch.Tensor:
    stretch, edges = Stretch(speed), [0, *sorted(cuts), 41]
    parts = [stretch.push(MEL[..., a:b]) for a, b in itertools.pairwise(edges)]
    return torch.cat([*parts, stretch.push(MEL[..., :0], final=True)], dim=2)


@settings(max_examples=60)
@given(st.floats(0.5, 2.0), st.lists(st.integers(0, 41), max_size=8))
def test_pieces_add_up_to_the_whole(speed: float, cuts: list[int]) -> None:
    whole = run(speed, [])
    torch.testing.assert_close(run(speed, cuts), whole, atol=1e-6, rtol=0)
    if speed != 1.0:
        assert whole.shape[2] == int(41 / speed)
    if whole.shape[2] != 41:  # at equal lengths torch copies, whatever the scale
        expected = torch.nn.functional.interpolate(
            MEL, scale_factor=1 / speed, mode="linear", recompute_scale_factor=False
        )
        n = min(expected.shape[2], whole.shape[2])
        torch.testing.assert_close(whole[..., :n], expected[..., :n], atol=1e-4, rtol=0)


def test_speed_one_changes_nothing() -> None:
    assert torch.equal(run(1.0, [7, 20]), MEL)
