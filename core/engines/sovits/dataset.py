"""Training data: clips with their cached features, cut and batched the same way every time.

A batch is a function of (seed, epoch, place in the epoch) alone. The sampler's position is therefore two integers,
and a resumed run sees exactly the batches that an uninterrupted one would have seen.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast, get_args

import numpy as np
import torch
from numpy.typing import NDArray

from core.engines.sovits.clips import RATE_HZ, Clip, ClipStore, Example, wav_frames
from core.engines.sovits.config import SovitsConfig
from core.engines.sovits.recipe import HOP, Batch, SegmentPlan
from core.errors import BadInput
from core.features.align import AlignMode

__all__ = ["RATE_HZ", "Clip", "Example", "TrainingSet", "align_mode", "wav_frames", "whole_clip"]

BUCKET_BATCHES = 16
"""Whole clips are sorted by length within pools of so many batches: enough to pad little, and still drawn at random."""


def align_mode(config: SovitsConfig) -> AlignMode:
    """How a model wants its units aligned.

    Raises:
        BadInput: config.json names a way that nobody knows.
    """
    for mode in get_args(AlignMode):
        if mode == config.data.unit_interpolate_mode:
            return cast(AlignMode, mode)
    known = ", ".join(get_args(AlignMode))
    raise BadInput(f"unit_interpolate_mode '{config.data.unit_interpolate_mode}' is unknown", f"Use one of {known}.")


@dataclass(frozen=True)
class _Cut:
    index: int
    start: int
    n_frames: int


class TrainingSet:
    """Batches of cuts, by (epoch, place).

    With a fixed plan an epoch holds every clip as often as segments fit in it (so that every second of the recordings
    counts alike), each time at a new random place; otherwise it holds every clip once. Every epoch has a new order; of
    whole clips those of similar length come together, so that little is padded.
    """

    def __init__(
        self, examples: Sequence[Example], plan: SegmentPlan, batch_size: int, seed: int, mode: AlignMode = "nearest"
    ) -> None:
        if not examples:
            raise BadInput("There is nothing to train on.", "Accept some clips on the Dataset page.")
        if batch_size < 1:
            raise BadInput("The batch size must be at least 1.")
        self.plan = plan
        self.batch_size = batch_size
        self.seed = seed
        self.store = ClipStore(examples, mode)
        repeats = [math.ceil(e.n_frames / plan.n_frames) if plan.fixed else 1 for e in examples]
        self._entries = np.repeat(np.arange(len(examples)), repeats)
        self._lengths = np.array([e.n_frames for e in examples])
        self._orders: dict[int, NDArray[np.intp]] = {}

    @property
    def steps_per_epoch(self) -> int:
        """Batches of an epoch. A rest that fills no batch is left out; of fewer clips than a batch some come twice."""
        return max(1, len(self._entries) // self.batch_size)

    def batch(self, epoch: int, place: int, part: int = 0, parts: int = 1) -> Batch:
        """The batch at `place` (0 .. steps_per_epoch - 1) of `epoch`, on the CPU, or its piece `part` of `parts`.

        The items of a batch do not depend on `parts`, which must divide the batch size.
        """
        wanted = self._order(epoch)[place * self.batch_size :][: self.batch_size]
        where = np.random.default_rng((self.seed, epoch, place, 1)).random(len(wanted))
        size = self.batch_size // parts
        piece = slice(part * size, (part + 1) * size)
        return self._collate([self._cut(int(i), float(w)) for i, w in zip(wanted[piece], where[piece], strict=True)])

    def _order(self, epoch: int) -> NDArray[np.intp]:
        order = self._orders.get(epoch)
        if order is None:
            order = self._new_order(epoch)
            # Reading ahead looks into the next epoch while the last batches of this one are made.
            self._orders = {**{e: o for e, o in self._orders.items() if abs(e - epoch) <= 1}, epoch: order}
        return order

    def _new_order(self, epoch: int) -> NDArray[np.intp]:
        """Entries of an epoch in the order of its batches, at least one batch of them."""
        rng = np.random.default_rng((self.seed, epoch))
        order = rng.permutation(self._entries)
        order = np.resize(order, max(len(order), self.batch_size))
        n_batches = self.steps_per_epoch
        if self.plan.fixed or n_batches == 1:
            return order
        whole = order[: n_batches * self.batch_size]
        pool = BUCKET_BATCHES * self.batch_size
        pools = [whole[i : i + pool] for i in range(0, len(whole), pool)]
        whole = np.concatenate([p[np.argsort(self._lengths[p], kind="stable")] for p in pools])
        return whole.reshape(n_batches, self.batch_size)[rng.permutation(n_batches)].reshape(-1)

    def _cut(self, index: int, where: float) -> _Cut:
        length = self.store[index].n_frames
        wanted = self.plan.n_frames
        if not self.plan.fixed and length <= self.plan.longer_than:
            return _Cut(index, 0, length)
        size = min(length, wanted)
        return _Cut(index, int(where * (length - size + 1)), size)

    def _collate(self, cuts: list[_Cut]) -> Batch:
        width = self.plan.n_frames if self.plan.fixed else max(cut.n_frames for cut in cuts)
        units = torch.zeros(len(cuts), self.store[cuts[0].index].dim, width)
        curves = torch.zeros(3, len(cuts), width)
        audio = torch.zeros(len(cuts), 1, width * HOP)
        for row, cut in enumerate(cuts):
            piece = self.store[cut.index].piece(cut.start, cut.n_frames)
            units[row, :, : cut.n_frames] = torch.from_numpy(piece.units.astype(np.float32).T)
            for curve, values in zip(curves, (piece.f0_hz, piece.uv, piece.volume), strict=True):
                curve[row, : cut.n_frames] = torch.from_numpy(values)
            audio[row, 0, : cut.n_frames * HOP] = torch.from_numpy(piece.audio.astype(np.float32) / 32768.0)
        return Batch(
            units=units,
            f0_hz=curves[0],
            uv=curves[1],
            volume=curves[2],
            audio=audio,
            lengths=torch.tensor([cut.n_frames for cut in cuts], dtype=torch.int64),
            sid=torch.tensor([self.store.examples[cut.index].sid for cut in cuts], dtype=torch.int64),
        )


def whole_clip(example: Example, mode: AlignMode) -> Batch:
    """One whole clip as a batch of one, for rendering probes."""
    clip = Clip(example, mode).piece()

    def row(values: NDArray[np.float32]) -> torch.Tensor:
        return torch.from_numpy(values)[None]

    return Batch(
        units=torch.from_numpy(clip.units.astype(np.float32).T)[None],
        f0_hz=row(clip.f0_hz),
        uv=row(clip.uv),
        volume=row(clip.volume),
        audio=torch.from_numpy(clip.audio.astype(np.float32) / 32768.0)[None, None],
        lengths=torch.tensor([clip.n_frames]),
        sid=torch.tensor([example.sid]),
    )
