"""Drawing content units towards those of the training voice: by k-means centres, or by a bank of its own units.

Units are [T, C]; `share` 0 changes nothing, 1 replaces the units wholly. Formulas: spec/so_vits_svc.md, section 4.
"""

import torch
from torch import Tensor

N_NEIGHBOURS = 8
_ROWS = 256  # units compared with a whole bank at once: 256 x 200 000 distances are 200 MB


def nearest(units: Tensor, bank: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Squared distances [T, count], ascending, and rows of `bank` [K, C] that are nearest to each unit [T, C].

    Candidates are found by a matrix product, which cancels digits for close vectors; their distances are then computed
    from differences.
    """
    count = min(count, bank.shape[0])
    norms = bank.square().sum(dim=1)
    distances, rows = [], []
    for part in units.split(_ROWS):
        rough = norms - 2 * part @ bank.t()
        index = rough.topk(min(2 * count, bank.shape[0]), dim=1, largest=False).indices
        exact = (part.unsqueeze(1) - bank[index]).square().sum(dim=2)
        distance, order = exact.sort(dim=1)
        distances.append(distance[:, :count])
        rows.append(index.gather(1, order[:, :count]))
    return torch.cat(distances), torch.cat(rows)


def blend_centres(units: Tensor, centres: Tensor, share: float) -> Tensor:
    """Mix each unit with the nearest k-means centre [K, C]."""
    return share * centres[nearest(units, centres, 1)[1][:, 0]] + (1 - share) * units


def blend_neighbours(units: Tensor, bank: Tensor, share: float, count: int = N_NEIGHBOURS) -> Tensor:
    """Mix each unit with a mean of its nearest neighbours in `bank` [K, C], weighted by 1 / distance^4.

    A unit that the bank holds itself has a distance of 0, for which the formula has no value: that row alone counts.
    """
    distance, rows = nearest(units, bank, count)
    weight = distance.reciprocal().square()
    hit = (distance == 0).to(weight.dtype)
    weight = torch.where(hit.sum(dim=1, keepdim=True) > 0, hit, weight)
    weight = weight / weight.sum(dim=1, keepdim=True)
    return share * (bank[rows] * weight.unsqueeze(2)).sum(dim=1) + (1 - share) * units
