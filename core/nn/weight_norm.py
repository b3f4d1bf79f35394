"""Convolutions with weight normalisation, under the tensor names that so-vits-svc checkpoints use.

Weight normalisation (Salimans and Kingma, 2016): w = g * v / |v|, the norm taken over all dimensions but the first.
`torch.nn.utils.parametrizations` would call the two parts `parametrizations.weight.original0/1`; files in the world
call them `weight_g` and `weight_v`, so the split is done here. `fold` turns a layer back into an ordinary one, for
inference, where g and v no longer change and the division would be repeated at every call.
"""

from typing import Any

import torch
from torch import Tensor, nn


class WeightNorm(nn.Module):
    """Mixed into a convolution: owns the split into `weight_g`, `weight_v` and its undoing."""

    weight: Tensor
    weight_g: nn.Parameter
    weight_v: nn.Parameter
    folded: bool

    def split_weight(self) -> None:
        """Replace the parameter `weight` by `weight_g` [C, 1, ...] and `weight_v` [C, ...] of the same value.

        It also undoes `fold`: the layer can be trained again.
        """
        weight = self._parameters.pop("weight")
        assert weight is not None
        self.weight_g = nn.Parameter(torch.norm_except_dim(weight.detach(), 2, 0))
        self.weight_v = nn.Parameter(weight.detach().clone())
        self.folded = False

    def current_weight(self) -> Tensor:
        """The weight that the layer applies now."""
        if self.folded:
            return self.weight
        return torch._weight_norm(self.weight_v, self.weight_g, 0)

    def fold(self) -> None:
        """Make `weight` an ordinary tensor again; the layer can no longer be trained under upstream's names."""
        if self.folded:
            return
        weight = self.current_weight().detach().clone()
        del self.weight_g, self.weight_v
        self.register_parameter("weight", nn.Parameter(weight, requires_grad=False))
        self.folded = True


class NormedConv1d(WeightNorm, nn.Conv1d):
    """`nn.Conv1d` on [B, C, T] with weight normalisation."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        nn.Conv1d.__init__(self, *args, **kwargs)
        self.split_weight()

    def forward(self, x: Tensor) -> Tensor:
        return self._conv_forward(x, self.current_weight(), self.bias)


class NormedConv2d(WeightNorm, nn.Conv2d):
    """`nn.Conv2d` on [B, C, H, W] with weight normalisation."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        nn.Conv2d.__init__(self, *args, **kwargs)
        self.split_weight()

    def forward(self, x: Tensor) -> Tensor:
        return self._conv_forward(x, self.current_weight(), self.bias)


class NormedConvTranspose1d(WeightNorm, nn.ConvTranspose1d):
    """`nn.ConvTranspose1d` on [B, C, T] with weight normalisation; the first dimension is the INPUT channel."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        nn.ConvTranspose1d.__init__(self, *args, **kwargs)
        self.split_weight()

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        return nn.functional.conv_transpose1d(
            x,
            self.current_weight(),
            self.bias,
            self.stride,
            self.padding,  # type: ignore[arg-type]
            self.output_padding,
            self.groups,
            self.dilation,
        )


def fold_weight_norm(module: nn.Module) -> int:
    """Fold every weight-normed layer inside `module`, each once even where it is shared; returns how many."""
    layers = [layer for layer in module.modules() if isinstance(layer, WeightNorm)]
    for layer in layers:
        layer.fold()
    return len(layers)


def split_weight_norm(module: nn.Module) -> None:
    """Undo `fold_weight_norm`, so that `module` can be trained; layers that are not folded stay as they are."""
    for layer in module.modules():
        if isinstance(layer, WeightNorm) and layer.folded:
            layer.split_weight()
