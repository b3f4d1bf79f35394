"""Cuts of padded batches."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from core.nn.masks import cut, length_mask, random_starts


def test_mask_follows_lengths() -> None:
    mask = length_mask(torch.tensor([0, 2, 4]), 4)
    assert mask.shape == (3, 1, 4)
    assert mask.sum(dim=(1, 2)).tolist() == [0, 2, 4]


@given(length=st.integers(1, 100), size=st.integers(1, 40), uniform=st.floats(0, 1, exclude_max=True))
def test_starts_stay_inside(length: int, size: int, uniform: float) -> None:
    start = int(random_starts(torch.tensor([length]), size, torch.tensor([min(uniform, 0.99999)]))[0])
    assert 0 <= start <= max(0, length - size)


def test_cut_takes_each_items_own_place() -> None:
    x = torch.arange(24).view(2, 2, 6)
    pieces = cut(x, torch.tensor([0, 3]), 3)
    assert torch.equal(pieces[0], x[0, :, 0:3])
    assert torch.equal(pieces[1], x[1, :, 3:6])
    assert torch.equal(cut(x[:, 0], torch.tensor([1, 2]), 2), torch.stack([x[0, 0, 1:3], x[1, 0, 2:4]]))
