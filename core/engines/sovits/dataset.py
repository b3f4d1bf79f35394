"""Training data: clips with their cached features, cut and batched the same way every time.

A batch is a function of (seed, epoch, place in the epoch) alone. The sampler's position is therefore two integers,
and a resumed run sees exactly the batches that an uninterrupted one would have seen.
"""

import math
import threading
import wave
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast, get_args

import numpy as np
import torch
from numpy.typing import NDArray

from core.engines.sovits.config import SovitsConfig
from core.engines.sovits.recipe import HOP, Batch, SegmentPlan
from core.errors import BadInput
from core.features import cache
from core.features.align import AlignMode, align
from core.features.pitch import interpolate

RATE_HZ = 44100
BUCKET_BATCHES = 16
"""Whole clips are sorted by length within pools of so many batches: enough to pad little, and still drawn at random."""
MEMORY_BYTES = 2 << 30
"""Clips stay decoded in memory up to this much; beyond it the ones used longest ago are read again when needed."""


@dataclass(frozen=True)
class Example:
    """One clip to train on or to render: its file, its features, its speaker."""

    clip_id: str
    audio: Path
    """16-bit PCM WAV, mono, 44.1 kHz."""
    features: Path
    """Features file as `core.features.cache.extract` wrote it."""
    n_frames: int
    sid: int = 0


@dataclass(frozen=True)
class ClipData:
    """One clip in memory. T frames of HOP samples."""

    units: NDArray[np.float16]
    """[T, C], aligned to frames."""
    f0_hz: NDArray[np.float32]
    """[T], interpolated across unvoiced frames."""
    uv: NDArray[np.float32]
    """[T], 1 voiced, 0 unvoiced."""
    volume: NDArray[np.float32]
    """[T]."""
    audio: NDArray[np.int16]
    """[T * HOP]."""

    @property
    def n_frames(self) -> int:
        """T."""
        return len(self.f0_hz)

    @property
    def n_bytes(self) -> int:
        """Memory it takes."""
        return sum(a.nbytes for a in (self.units, self.f0_hz, self.uv, self.volume, self.audio))


def wav_frames(path: Path) -> int:
    """Whole frames of HOP samples in a clip.

    Raises:
        BadInput: not a 16-bit mono 44.1 kHz WAV file.
    """
    try:
        with wave.open(str(path), "rb") as file:
            shape = (file.getnchannels(), file.getsampwidth(), file.getframerate())
            n_samples = file.getnframes()
    except (OSError, EOFError, wave.Error) as err:
        raise BadInput(f"The clip {path.name} cannot be read: {err}", _AGAIN, where=str(path)) from err
    if shape != (1, 2, RATE_HZ):
        raise BadInput(
            f"The clip {path.name} has {shape[0]} channels, {8 * shape[1]} bits, {shape[2]} Hz; "
            f"training needs 1 channel, 16 bits, {RATE_HZ} Hz.",
            _AGAIN,
            where=str(path),
        )
    return n_samples // HOP


_AGAIN = "Prepare the voice again."


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


def load_clip(example: Example, mode: AlignMode) -> ClipData:
    """Read a clip's audio and features and align the units. T is the lesser of what audio and f0 have."""
    with wave.open(str(example.audio), "rb") as file:
        audio = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2")
    found = cache.load(example.features)
    f0_hz = np.asarray(found.f0, dtype=np.float32)
    n_frames = min(len(audio) // HOP, len(f0_hz))
    units = align(torch.as_tensor(found.units).float(), n_frames, mode)
    f0_interpolated, uv = interpolate(f0_hz[:n_frames])
    return ClipData(
        units=units.to(torch.float16).numpy(),
        f0_hz=f0_interpolated,
        uv=uv,
        volume=np.asarray(found.volume, dtype=np.float32)[:n_frames],
        audio=audio[: n_frames * HOP],
    )


class ClipStore:
    """Clips by index, decoded once while memory allows."""

    def __init__(self, examples: Sequence[Example], mode: AlignMode, memory_bytes: int = MEMORY_BYTES) -> None:
        self.examples = list(examples)
        self.mode: AlignMode = mode
        self._limit = memory_bytes
        self._held = 0
        self._cache: OrderedDict[int, ClipData] = OrderedDict()
        self._lock = threading.Lock()  # batches are made by several threads

    def __getitem__(self, index: int) -> ClipData:
        with self._lock:
            clip = self._cache.get(index)
            if clip is not None:
                self._cache.move_to_end(index)
                return clip
        clip = load_clip(self.examples[index], self.mode)
        with self._lock:
            if index not in self._cache:
                self._cache[index] = clip
                self._held += clip.n_bytes
            while self._held > self._limit and len(self._cache) > 1:
                self._held -= self._cache.popitem(last=False)[1].n_bytes
        return clip


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
        """Entries of an epoch in the order of its batches, at least one batch of them."""
        rng = np.random.default_rng((self.seed, epoch))
        order = rng.permutation(self._entries)
        order = np.resize(order, max(len(order), self.batch_size))
        n_batches = self.steps_per_epoch
        if self.plan.fixed or n_batches == 1:
            return order
        lengths = np.array([e.n_frames for e in self.store.examples])
        whole = order[: n_batches * self.batch_size]
        pool = BUCKET_BATCHES * self.batch_size
        pools = [whole[i : i + pool] for i in range(0, len(whole), pool)]
        whole = np.concatenate([p[np.argsort(lengths[p], kind="stable")] for p in pools])
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
        n_units = self.store[cuts[0].index].units.shape[1]
        units = torch.zeros(len(cuts), n_units, width)
        curves = torch.zeros(3, len(cuts), width)
        audio = torch.zeros(len(cuts), 1, width * HOP)
        for row, cut in enumerate(cuts):
            clip, part = self.store[cut.index], slice(cut.start, cut.start + cut.n_frames)
            units[row, :, : cut.n_frames] = torch.from_numpy(clip.units[part].astype(np.float32).T)
            for curve, values in zip(curves, (clip.f0_hz, clip.uv, clip.volume), strict=True):
                curve[row, : cut.n_frames] = torch.from_numpy(values[part])
            samples = clip.audio[cut.start * HOP : (cut.start + cut.n_frames) * HOP]
            audio[row, 0, : cut.n_frames * HOP] = torch.from_numpy(samples.astype(np.float32) / 32768.0)
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
    clip = load_clip(example, mode)

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
