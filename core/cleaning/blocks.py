"""Sound as a stream of blocks, so that memory does not grow with the length of a recording. Mono `[n]` float32."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from core.audio.decode import stream
from core.errors import BadInput

if TYPE_CHECKING:
    from soundfile import SoundFile

    from core.jobs.context import JobContext

Block = NDArray[np.float32]
_WAV_SAMPLES = 1.3e9  # of 24 bits, just below 4 GB


@dataclass(frozen=True)
class Source:
    """A file that a step may read as often as it likes. `duration_s` is about right; `notes` collects remarks."""

    path: Path
    rate_hz: int
    duration_s: float
    max_hours: float
    ctx: "JobContext"
    notes: list[str] = field(default_factory=list)

    def blocks(self, start: float = 0.0, end: float = 1.0) -> Iterator[Block]:
        """The sound from its beginning; reading moves the step's progress from `start` to `end` (0..1).

        Raises BadInput (cannot be decoded), Cancelled.
        """
        n_samples = 0
        for block in stream(self.path, self.rate_hz, max_hours=self.max_hours):
            n_samples += block.size
            done = min(1.0, n_samples / self.rate_hz / max(self.duration_s, 1e-3))
            self.ctx.progress(start + (end - start) * done)
            yield block


def overlapped(
    blocks: Iterable[Block], change: Callable[[Block], Block], block_samples: int, overlap_samples: int
) -> Iterator[Block]:
    """`change` (which keeps the length) over long pieces that overlap and are faded into one another.

    The outer quarters of an overlap are dropped, since near its ends a piece lacks what comes before or after; in the
    middle half one piece fades linearly into the next. All samples come out, in order, none twice.
    """
    quarter = overlap_samples // 4
    ramp = np.linspace(0.0, 1.0, overlap_samples - 2 * quarter, dtype=np.float32)
    rising = np.concatenate([np.zeros(quarter, np.float32), ramp, np.ones(quarter, np.float32)])
    piece = block_samples + overlap_samples
    held = np.zeros(0, np.float32)
    tail: Block | None = None

    def finished(part: Block) -> Block:
        out = np.array(change(part), np.float32)
        if tail is not None:
            n = min(tail.size, out.size)
            out[:n] = tail[:n] * (1.0 - rising[:n]) + out[:n] * rising[:n]
        return out

    for block in blocks:
        held = np.concatenate([held, block])
        while held.size >= piece + overlap_samples:  # what is left at the end is never shorter than an overlap
            out = finished(held[:piece])
            yield out[:block_samples]
            tail = out[block_samples:]
            held = held[block_samples:]
    if held.size:
        yield finished(held)


def exactly(blocks: Iterable[Block], n_samples: Callable[[], int], drop: int) -> Iterator[Block]:
    """`blocks` without the first `drop` samples, cut or filled with zeros to the length that `n_samples` tells at the
    end: for filters that come late by a known delay."""
    n_out = 0
    ready: Block = np.zeros(0, np.float32)
    for block in blocks:
        skipped = min(drop, block.size)
        drop -= skipped
        # One block is held back: only at the end is it known how much of it is sound.
        n_out += ready.size
        if ready.size:
            yield ready
        ready = block[skipped:]
    missing = n_samples() - n_out
    if missing > 0:
        yield np.pad(ready[:missing], (0, max(0, missing - ready.size)))


def sound_file(path: Path, rate_hz: int, fmt: str, channels: int, expected_samples: float = 0) -> "SoundFile":
    """A 24-bit file to write blocks to; what a plain WAV cannot hold (4 GB) becomes an RF64 file."""
    import soundfile

    large = expected_samples * channels > _WAV_SAMPLES
    container = "FLAC" if fmt == "flac" else "RF64" if large else "WAV"
    return soundfile.SoundFile(path, "w", rate_hz, channels, "PCM_24", format=container)


def write_blocks(path: Path, blocks: Iterable[Block], rate_hz: int, fmt: str, expected_samples: float = 0) -> int:
    """Write 24-bit mono sound as it comes, atomically. Returns the samples. Raises BadInput (no sound), NoSpace.

    `expected_samples`: about how many will come.
    """
    from core import atomic

    n_samples = 0
    with atomic.file(path) as temp:
        with sound_file(temp, rate_hz, fmt, 1, expected_samples) as out:
            for block in blocks:
                out.write(np.clip(block, -1.0, 1.0))
                n_samples += block.size
        if n_samples == 0:
            raise BadInput(f"There is no sound to write to {path.name}.", "Choose a recording that has sound in it.")
    return n_samples
