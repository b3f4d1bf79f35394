"""Where a model's random numbers come from, so that a result can be repeated, batch-invariant or silenced."""

from collections.abc import Sequence

import torch
from torch import Tensor


class Noise:
    """Random tensors from one generator, moved to the device that asks.

    With a CPU generator the numbers are the same whatever device computes, so that a seed means one result.
    Without one, each device's default generator is used.
    """

    def __init__(self, generator: torch.Generator | None = None) -> None:
        self.generator = generator

    def _draw(self, normal: bool, shape: Sequence[int], like: Tensor) -> Tensor:
        source = like.device if self.generator is None else self.generator.device
        make = torch.randn if normal else torch.rand
        return make(tuple(shape), generator=self.generator, device=source).to(device=like.device, dtype=like.dtype)

    def normal(self, shape: Sequence[int], like: Tensor) -> Tensor:
        """Standard normal numbers of `shape`, on the device and in the type of `like`."""
        return self._draw(True, shape, like)

    def uniform(self, shape: Sequence[int], like: Tensor) -> Tensor:
        """Numbers uniform in [0, 1) of `shape`, on the device and in the type of `like`."""
        return self._draw(False, shape, like)

    def normal_like(self, x: Tensor) -> Tensor:
        """Standard normal numbers in the shape of `x`, drawn in the order in which `x` lies in memory.

        For a transposed `x` they are not the numbers that `normal` gives: torch's own randn_like does the same.
        """
        if x.is_contiguous():
            return self.normal(x.shape, x)
        source = x.device if self.generator is None else self.generator.device
        drawn = torch.empty_strided(x.shape, x.stride(), device=source).normal_(generator=self.generator)
        return drawn.to(device=x.device, dtype=x.dtype)


class NoNoise(Noise):
    """Zeros in place of every random number: the model's mean path."""

    def _draw(self, normal: bool, shape: Sequence[int], like: Tensor) -> Tensor:
        return torch.zeros(tuple(shape), device=like.device, dtype=like.dtype)

    def normal_like(self, x: Tensor) -> Tensor:
        return torch.zeros_like(x)


def as_noise(source: "torch.Generator | Noise | None") -> Noise:
    """Accept a generator, a Noise, or nothing."""
    return source if isinstance(source, Noise) else Noise(source)
