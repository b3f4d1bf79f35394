"""The stream of batches that a run reads: where it stands, and reading ahead for a GPU."""

from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Generic, Protocol, Self, TypeVar

import torch

THREADS = 2
"""They live as long as the stream, over all epochs: no start-up at an epoch's end."""


class Movable(Protocol):
    """A batch: what a step learns from, on the CPU until it is moved."""

    def to(self, device: torch.device | str) -> Self:
        """The same batch on `device`; copies from pinned memory do not wait."""

    def pin(self) -> Self:
        """The same batch in page-locked memory (only called where CUDA is present)."""


B = TypeVar("B", bound=Movable)
B_co = TypeVar("B_co", bound=Movable, covariant=True)


class Batches(Protocol[B_co]):
    """Batches by (epoch, place), each a function of these two and a seed alone: that is what makes a resume exact."""

    @property
    def batch_size(self) -> int:
        """Items of a batch of all parts of all ranks together."""

    @property
    def steps_per_epoch(self) -> int:
        """Batches of an epoch, at least 1."""

    def batch(self, epoch: int, place: int, part: int = 0, parts: int = 1) -> B_co:
        """The batch at `place` (0 .. steps_per_epoch - 1), on the CPU, or its piece `part` of `parts`.

        The items of a batch do not depend on `parts`, which divides the batch size. Called from several threads.
        """


class BatchStream(Generic[B]):
    """Batches in order, from a place on, each as the parts that this process computes.

    `epoch` and `place` name the batch that `next()` returns; they are what a checkpoint keeps. `parts` are the global
    indices of the parts that it returns.
    """

    def __init__(
        self,
        dataset: Batches[B],
        epoch: int = 0,
        place: int = 0,
        ahead: int = 0,
        pin: bool = False,
        parts: Sequence[int] = (0,),
        of: int = 1,
    ) -> None:
        """
        Args:
            dataset: the batches.
            epoch, place: where to start; a place beyond the epoch's end (the data has shrunk) starts the next epoch.
            ahead: batches made by threads before they are asked for; 0 makes each when asked.
            pin: put batches into page-locked memory.
            parts, of: which of the `of` equal parts of every batch are wanted.
        """
        self._data = dataset
        self._ahead = ahead
        self._pin = pin
        self.epoch, self.place = (epoch, place) if place < dataset.steps_per_epoch else (epoch + 1, 0)
        self.parts, self._of = parts, of
        self._coming = (self.epoch, self.place)
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="batches") if ahead else None
        self._queue: deque[Future[list[B]]] = deque()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def next(self) -> list[B]:
        """The parts of the batch at (epoch, place); moves on by one."""
        if self._pool is None:
            made = self._make(self.epoch, self.place)
        else:
            while len(self._queue) <= self._ahead:
                self._queue.append(self._pool.submit(self._make, *self._coming))
                self._coming = self._after(*self._coming)
            made = self._queue.popleft().result()
        self.epoch, self.place = self._after(self.epoch, self.place)
        return made

    def close(self) -> None:
        """End the threads; batches made ahead are dropped."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def _after(self, epoch: int, place: int) -> tuple[int, int]:
        return (epoch, place + 1) if place + 1 < self._data.steps_per_epoch else (epoch + 1, 0)

    def _make(self, epoch: int, place: int) -> list[B]:
        made = [self._data.batch(epoch, place, part, self._of) for part in self.parts]
        return [batch.pin() for batch in made] if self._pin else made
