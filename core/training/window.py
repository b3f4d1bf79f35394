"""Means of what a training step measures, over the steps since the last log line."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor


@dataclass
class Window:
    """Sums since the last log step, kept on the device so that a GPU need not wait."""

    sums: dict[str, Tensor] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    steps: int = 0
    """Steps of this process; those before a resume took their time elsewhere."""
    busy_s: float = 0.0
    data_s: float = 0.0

    def add(self, name: str, value: Tensor) -> None:
        """Add one scalar."""
        held = self.sums.get(name)
        self.sums[name] = value.detach().float() if held is None else held + value.detach().float()
        self.counts[name] = self.counts.get(name, 0) + 1

    def add_losses(self, who: str, total: Tensor, parts: Mapping[str, Tensor]) -> None:
        """Add a total and its parts as loss/WHO/NAME."""
        self.add(f"loss/{who}/total", total)
        for name, value in parts.items():
            self.add(f"loss/{who}/{name}", value)

    def mean(self, name: str) -> float | None:
        """The mean of one scalar; None if nothing was added."""
        return float(self.sums[name]) / self.counts[name] if name in self.sums else None

    def means(self) -> dict[str, float]:
        """All means by name."""
        return {name: float(value) / self.counts[name] for name, value in self.sums.items()}

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps, JSON-able and exact, so that a resumed run logs what an uninterrupted one logs."""
        return {"sums": {name: float(value) for name, value in self.sums.items()}, "counts": dict(self.counts)}

    def restore(self, state: Mapping[str, Any], device: torch.device) -> None:
        """Put back what `state` took."""
        self.sums = {name: torch.tensor(value, device=device) for name, value in state["sums"].items()}
        self.counts = dict(state["counts"])

    def clear(self) -> None:
        """Begin anew."""
        self.sums, self.counts = {}, {}
        self.steps, self.busy_s, self.data_s = 0, 0.0, 0.0
