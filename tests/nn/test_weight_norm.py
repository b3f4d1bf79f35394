"""Weight normalisation: same function as the plain layer, names, gradients, folding."""

import copy
from collections.abc import Callable

import pytest
import torch
from torch import nn

from core.nn.weight_norm import NormedConv1d, NormedConv2d, NormedConvTranspose1d, fold_weight_norm

LAYERS: list[tuple[Callable[[], nn.Module], tuple[int, ...], tuple[int, ...]]] = [
    (lambda: NormedConv1d(4, 6, 3, dilation=2, padding=2), (2, 4, 9), (6, 1, 1)),
    (lambda: NormedConv2d(4, 6, (5, 1), (3, 1), padding=(2, 0)), (2, 4, 9, 3), (6, 1, 1, 1)),
    (lambda: NormedConvTranspose1d(4, 6, 8, 4, padding=2), (2, 4, 9), (4, 1, 1)),
]


@pytest.mark.parametrize(("make", "shape", "g_shape"), LAYERS)
def test_split_has_upstream_names_and_folding_changes_nothing(
    make: Callable[[], nn.Module], shape: tuple[int, ...], g_shape: tuple[int, ...]
) -> None:
    layer, x = make(), torch.randn(shape)
    state = layer.state_dict()
    assert set(state) == {"bias", "weight_g", "weight_v"}
    assert state["weight_g"].shape == g_shape
    with torch.no_grad():
        layer.weight_g.mul_(1.3)  # type: ignore[union-attr, operator]
    before = layer(x)
    assert fold_weight_norm(layer) == 1
    assert set(layer.state_dict()) == {"bias", "weight"}
    torch.testing.assert_close(layer(x), before)


def test_the_weight_is_g_times_the_direction_of_v() -> None:
    layer = NormedConvTranspose1d(3, 2, 4)
    v, g = layer.weight_v, layer.weight_g
    expected = g * v / v.flatten(1).norm(dim=1)[:, None, None]
    torch.testing.assert_close(layer.current_weight(), expected)


def test_both_parts_get_gradients_and_copies_are_independent() -> None:
    layer = NormedConv1d(2, 3, 3)
    twin = copy.deepcopy(layer)
    layer(torch.randn(1, 2, 5)).sum().backward()
    assert layer.weight_g.grad is not None
    assert layer.weight_v.grad is not None
    assert twin.weight_g.grad is None


def test_a_shared_layer_is_folded_once() -> None:
    shared = NormedConv1d(2, 2, 1)
    assert fold_weight_norm(nn.ModuleList([shared, nn.Sequential(shared)])) == 1
    assert fold_weight_norm(shared) == 1  # folding again is harmless
    assert shared.folded
