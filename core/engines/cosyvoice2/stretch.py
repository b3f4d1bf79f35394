"""Slower and faster speech: mel resized along time, also when it arrives in pieces."""

import torch
from torch import Tensor


class Stretch:
    """Linear resizing of mel [1, 80, T] to T / `speed` frames; the pieces together are the whole resized."""

    def __init__(self, speed: float) -> None:
        self._speed = speed
        self._held: Tensor | None = None
        self._first = self._n_taken = self._n_given = 0

    def push(self, mel: Tensor, *, final: bool = False) -> Tensor:
        """Take frames; returns those that are ready. At speed 1 they pass through untouched."""
        if self._speed == 1.0:
            return mel
        held = mel if self._held is None else torch.cat([self._held, mel], dim=2)
        self._n_taken += mel.shape[2]
        # Frame j stands at (j + 0.5) speed - 0.5 of the original, between two of its frames.
        stop = int(self._n_taken / self._speed)
        if not final:
            stop = min(stop, int((self._n_taken - 1.5) / self._speed + 0.5)) if self._n_taken > 1 else 0
        at = (torch.arange(self._n_given, max(stop, self._n_given), dtype=torch.float64) + 0.5) * self._speed - 0.5
        at = at.clamp(0, max(0, self._n_taken - 1))
        low = at.floor().long()
        high = (low + 1).clamp(max=max(0, self._n_taken - 1))
        weight = (at - low).to(mel)
        out = held[..., low - self._first] * (1 - weight) + held[..., high - self._first] * weight
        self._n_given += len(at)
        keep = max(0, int((self._n_given + 0.5) * self._speed - 0.5) - 1)
        self._held, self._first = held[..., max(0, keep - self._first) :], max(keep, self._first)
        return out
