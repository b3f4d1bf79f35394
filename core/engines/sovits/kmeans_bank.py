"""k-means centres of content units, found batch by batch: 10000 centres of hours of speech without hours of work.

Mini-batch k-means (Sculley, WWW 2010): each batch moves its nearest centres by their running mean. Batches and starts
are functions of (seed, step), so a resumed run ends where an uninterrupted one does.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

UPSTREAM_CLUSTERS = 10_000
UNITS_PER_CENTRE = 8
"""Fewer units than this a centre tell more of noise than of the voice."""
BATCH = 8192
_ROWS = 1024
_REVIVE_EVERY = 20


def clusters_for(n_units: int, wanted: int) -> int:
    """How many centres: as wanted, or 10000, but not more than the units bear; at least 1."""
    return max(1, min(wanted or UPSTREAM_CLUSTERS, n_units // (1 if wanted else UNITS_PER_CENTRE), n_units))


@dataclass
class Centres:
    """Centres [K, C] float32 and how many units each has seen [K]."""

    centres: Tensor
    seen: Tensor

    @classmethod
    def start(cls, units: Tensor, count: int, seed: int) -> "Centres":
        """`count` different units of [N, C], chosen by the seed."""
        rows = torch.randperm(units.shape[0], generator=torch.Generator().manual_seed(seed))[:count]
        return cls(units[rows].float(), torch.zeros(count))

    def step(self, units: Tensor, step: int, seed: int) -> float:
        """Move by one batch of [N, C]; returns the mean squared distance of its units to their centres."""
        generator = torch.Generator().manual_seed(seed * 1_000_003 + step + 1)
        rows = torch.randint(units.shape[0], (min(BATCH, units.shape[0]),), generator=generator)
        batch = units[rows].float()
        nearest, distance = self.assign(batch)
        counts = torch.bincount(nearest, minlength=self.seen.numel()).float()
        sums = torch.zeros_like(self.centres).index_add_(0, nearest, batch)
        self.seen += counts
        moved = counts > 0
        share = (1.0 / self.seen[moved]).unsqueeze(1)
        self.centres[moved] += share * (sums[moved] - counts[moved].unsqueeze(1) * self.centres[moved])
        if step % _REVIVE_EVERY == _REVIVE_EVERY - 1:
            self._revive(batch, distance)
        return float(distance.mean())

    def assign(self, units: Tensor) -> tuple[Tensor, Tensor]:
        """(rows of the nearest centres [N], squared distances [N]) of units [N, C]."""
        norms = self.centres.square().sum(dim=1)
        rows, distances = [], []
        for part in units.split(_ROWS):
            rough = norms - 2 * part @ self.centres.t()
            best = rough.argmin(dim=1)
            rows.append(best)
            distances.append((part - self.centres[best]).square().sum(dim=1))
        return torch.cat(rows), torch.cat(distances)

    def _revive(self, batch: Tensor, distance: Tensor) -> None:
        """Centres that nothing is near to take the places of the units that are farthest from theirs."""
        idle = (self.seen == 0).nonzero()[:, 0][: batch.shape[0]]
        if idle.numel():
            self.centres[idle] = batch[distance.argsort(descending=True)[: idle.numel()]]
