"""What causal layers remember of the frames before a chunk, so that a chunk costs the same wherever it stands.

Frames are numbered from the start of a sequence, prompt included. Attention is block-causal: a frame sees its own
block and all before it. Where blocks begin is the `Grid`'s; a sequence given block by block to a `Memory` and the same
sequence given at once pass through the same arithmetic.
"""

from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_FIRST_CAPACITY = 128  # frames; doubled as needed


@dataclass(frozen=True)
class Grid:
    """Blocks of `block` frames; the first one is `skip` frames shorter. `block` 0: one endless block.

    A shorter first block is how a stream can have a first chunk of any length without cutting a block in two: no layer
    knows absolute positions, so to all later frames it is as if the sequence had begun within a block.
    """

    block: int = 0
    skip: int = 0

    def __post_init__(self) -> None:
        if self.block < 0 or not 0 <= self.skip < max(1, self.block):
            raise ValueError(f"a grid of blocks of {self.block} frames cannot skip {self.skip}")

    def of(self, positions: Tensor) -> Tensor:
        """The block of each position."""
        return (positions + self.skip) // self.block if self.block else torch.zeros_like(positions)

    def ends(self, start: int, stop: int) -> list[int]:
        """Where the whole blocks in `start`..`stop` end."""
        if not self.block:
            return []
        first = start + self.block - (start + self.skip) % self.block
        return list(range(first, stop + 1, self.block))

    def scaled(self, ratio: int) -> "Grid":
        """The same blocks where each frame has become `ratio` frames."""
        return Grid(self.block * ratio, self.skip * ratio)


class Memory:
    """Left context of every layer of one network: convolution tails, attention keys and values.

    `left`: how many frames before a block it can see; None: all. The first `keep` frames (a prompt) stay in sight.
    With a `left`, frames are to be given one block at a time once `crowded` says so: what a frame sees must not depend
    on how a stream was cut.
    """

    def __init__(self, left: int | None = None, keep: int = 0) -> None:
        self.left, self.keep = left, keep
        self.seen = 0
        self._positions = torch.empty(0, dtype=torch.long)
        self._write: slice | Tensor = slice(0, 0)
        self._read: Tensor | None = None
        self._tails: dict[nn.Module, Tensor] = {}
        self._attended: dict[nn.Module, tuple[Tensor, Tensor]] = {}

    def crowded(self, n_frames: int) -> bool:
        """Whether `n_frames` more would push earlier ones out of sight."""
        return self.left is not None and self.seen + n_frames > self.keep + self.left

    def begin(self, n_frames: int) -> tuple[Tensor, Tensor]:
        """Make room for a chunk; returns the positions of its frames and those of all keys that it will attend to."""
        new = torch.arange(self.seen, self.seen + n_frames)
        used = len(self._positions)
        stale = torch.empty(0, dtype=torch.long)
        if self.left is not None:
            gone = (self._positions >= self.keep) & (self._positions < self.seen - self.left)
            stale = gone.nonzero().flatten()
        reused = stale[:n_frames]
        self._write = _run(torch.cat([reused, torch.arange(used, used + n_frames - len(reused))]))
        self._positions = torch.cat([self._positions, new[len(reused) :]])
        self._positions[reused] = new[: len(reused)]
        self._read = None
        if len(stale) > n_frames:
            live = torch.ones(len(self._positions), dtype=torch.bool)
            live[stale[n_frames:]] = False
            self._read = live.nonzero().flatten()
        self.seen += n_frames
        return new, self._positions if self._read is None else self._positions[self._read]

    def pad(self, layer: nn.Module, x: Tensor, n_frames: int) -> Tensor:
        """`x` [B, C, T] with the `n_frames` before it (zeros at the start): [B, C, n_frames + T]."""
        tail = self._tails.get(layer)
        padded = F.pad(x, (n_frames, 0)) if tail is None else torch.cat([tail, x], dim=2)
        self._tails[layer] = padded[..., padded.shape[-1] - n_frames :].clone()
        return padded

    def attend(self, layer: nn.Module, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Store keys and values [B, H, T, D] of the chunk begun; returns all in sight, in the order of `begin`."""
        used = len(self._positions)
        if layer not in self._attended:
            if used == key.shape[2]:
                capacity = max(_FIRST_CAPACITY, used)
                empty = [key.new_empty((*key.shape[:2], capacity, key.shape[3])) for _ in range(2)]
                self._attended[layer] = (empty[0], empty[1])
            else:
                raise ValueError("a layer joined a stream that had begun without it")
        stored = self._attended[layer]
        if stored[0].shape[2] < used:
            held = stored[0].shape[2]
            # Doubled while it grows, but not beyond what will ever be in sight.
            most = 2 * held if self.left is None else min(2 * held, self.keep + self.left + key.shape[2])
            stored = _copied(stored[0], held, max(used, most)), _copied(stored[1], held, max(used, most))
            self._attended[layer] = stored
        # To the device once a chunk, not once a layer: each copy there would wait for all work before it.
        if isinstance(self._write, Tensor):
            self._write = self._write.to(key.device)
        for buffer, new in zip(stored, (key, value), strict=True):
            buffer[:, :, self._write] = new
        if self._read is not None:
            self._read = self._read.to(key.device)
            return stored[0].index_select(2, self._read), stored[1].index_select(2, self._read)
        return stored[0][:, :, :used], stored[1][:, :, :used]

    def clone(self) -> "Memory":
        """A copy that goes its own way."""
        twin = Memory(self.left, self.keep)
        twin.seen, twin._positions = self.seen, self._positions.clone()
        twin._tails = {layer: tail.clone() for layer, tail in self._tails.items()}
        used = len(self._positions)
        for layer, (k, v) in self._attended.items():
            twin._attended[layer] = _copied(k, used, k.shape[2]), _copied(v, used, v.shape[2])
        return twin

    def size_bytes(self) -> int:
        """What it holds."""
        tensors = [*self._tails.values(), *(x for pair in self._attended.values() for x in pair)]
        return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def _copied(buffer: Tensor, used: int, capacity: int) -> Tensor:
    """The first `used` places of a buffer in a new one."""
    copy = buffer.new_empty((*buffer.shape[:2], capacity, buffer.shape[3]))
    copy[:, :, :used] = buffer[:, :, :used]
    return copy


def _run(places: Tensor) -> slice | Tensor:
    """A slice where the places follow one another, as they nearly always do."""
    first, n = int(places[0]) if len(places) else 0, len(places)
    return slice(first, first + n) if bool((places == torch.arange(first, first + n)).all()) else places


@dataclass
class Chunk:
    """Frames on their way through one network, with its memory (None: the frames are the whole sequence)."""

    queries: Tensor
    keys: Tensor
    visible: Tensor | None
    memory: Memory | None = None
    shared: dict[str, Tensor] = field(default_factory=dict)

    def pad(self, layer: nn.Module, x: Tensor, n_frames: int) -> Tensor:
        """`x` [B, C, T] with the `n_frames` before it: [B, C, n_frames + T]."""
        return F.pad(x, (n_frames, 0)) if self.memory is None else self.memory.pad(layer, x, n_frames)

    def attend(self, layer: nn.Module, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """All keys and values [B, H, K, D] that the frames may see, given their own."""
        return (key, value) if self.memory is None else self.memory.attend(layer, key, value)


def begin(n_frames: int, grid: Grid, memory: Memory | None, device: torch.device) -> Chunk:
    """A chunk of `n_frames`; `visible` is a mask [queries, keys] on `device`, or None where all is in sight."""
    if memory is None:
        queries = keys = torch.arange(n_frames)
    else:
        queries, keys = memory.begin(n_frames)
    visible = grid.of(keys)[None, :] <= grid.of(queries)[:, None]
    return Chunk(queries, keys, None if bool(visible.all()) else visible.to(device), memory)
