"""Tensors of released files under the names of our modules."""

from collections.abc import Mapping

import torch
from torch import Tensor

_NORMED = ((".parametrizations.weight.original0", ".parametrizations.weight.original1"), (".weight_g", ".weight_v"))


def folded(tensors: Mapping[str, Tensor], prefix: str = "") -> dict[str, Tensor]:
    """The same with each weight-normed pair as one weight (torch's new names and its old ones), `prefix` taken off.

    w = g v / |v| (Salimans and Kingma, 2016), in float32. A half of a pair stays as it is, for the strict load to name.
    """
    plain = {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}
    for gain_name, direction_name in _NORMED:
        for name in [name for name in plain if name.endswith(gain_name)]:
            stem = name.removesuffix(gain_name)
            if stem + direction_name in plain:
                gain, direction = plain.pop(name), plain.pop(stem + direction_name)
                plain[stem + ".weight"] = torch._weight_norm(direction.float(), gain.float(), 0)
    return plain
