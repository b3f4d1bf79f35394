"""The batches of a fine-tuning: every clip once a pass, under a budget of positions."""

import threading
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from core.engines.voxcpm.batches import Utterance, pack, plan_epoch
from core.engines.voxcpm.train_data import Example


@dataclass(frozen=True)
class Packed:
    """One part of a step's batch.

    Attributes:
        tensors: arguments of the package's `forward`.
        weight: what its mean losses count: the step's loss is the mean over patches, whatever part they are in.
    """

    tensors: dict[str, Tensor]
    weight: float = 1.0

    def to(self, device: torch.device | str) -> "Packed":
        """The same on `device`."""
        return Packed({name: t.to(device, non_blocking=True) for name, t in self.tensors.items()}, self.weight)

    def pin(self) -> "Packed":
        """The same in page-locked memory."""
        return Packed({name: t.pin_memory() for name, t in self.tensors.items()}, self.weight)


class TokenBatches:
    """Batches by their number, functions of it and the seed.

    How many batches a pass over the clips takes depends on which clips meet. So passes follow one another without a
    break, and the loop's epochs are as long as the first one.
    """

    def __init__(
        self, examples: Sequence[Example], *, size: int, parts: int, max_tokens: int, max_length: int, seed: int
    ) -> None:
        """
        Args:
            examples: what is learnt.
            size, max_tokens: most clips and most positions (0: any number) that are computed at once.
            parts: pieces of a step's batch, over all ranks.
            max_length: of the model.
            seed: of the run.
        """
        self.batch_size = size * parts
        self._examples, self._seed = list(examples), seed
        lengths = [example.length for example in self._examples]

        @lru_cache(maxsize=4)
        def plan(number: int) -> list[list[int]]:
            chance = torch.Generator().manual_seed((seed * 1_000_003 + number) % 2**63)
            limits = {"batch_size": size, "max_tokens": max_tokens, "max_length": max_length, "parts": parts}
            return plan_epoch(lengths, **limits, generator=chance)

        self._plan = plan
        self.steps_per_epoch = len(plan(0))
        self._starts = [0]
        self._lock = threading.Lock()

    def items(self, number: int) -> list[int]:
        """Indices of the examples of a batch, counted from the start of the run."""
        with self._lock:
            while self._starts[-1] <= number:
                self._starts.append(self._starts[-1] + len(self._plan(len(self._starts) - 1)))
            a_pass = bisect_right(self._starts, number) - 1
            return self._plan(a_pass)[number - self._starts[a_pass]]

    def batch(self, epoch: int, place: int, part: int = 0, parts: int = 1) -> Packed:
        """The batch at this place, on the CPU, or its piece `part` of `parts`; clips of like length share a piece."""
        chosen = sorted(
            self.items(epoch * self.steps_per_epoch + place), key=lambda index: self._examples[index].length
        )
        first, last = (len(chosen) * end // parts for end in (part, part + 1))
        mine = [self._examples[index] for index in chosen[first:last]]
        n_all = sum(self._examples[index].n_patches for index in chosen)
        n_mine = sum(example.n_patches for example in mine)
        # A piece for which no clip is left learns nothing; it takes part so that all ranks do the same.
        utterances: list[Utterance] = [example.utterance() for example in mine or [self._examples[chosen[0]]]]
        return Packed(pack(utterances), parts * n_mine / n_all)
