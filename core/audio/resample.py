"""Sample rate conversion by soxr, whole arrays and streams."""

from collections.abc import Iterable, Iterator

import numpy as np
import soxr
from numpy.typing import NDArray

QUALITY = "HQ"  # 20-bit precision, about -125 dB aliasing; VHQ costs half as much again and is not heard


def resample(x: NDArray[np.floating], from_hz: float, to_hz: float) -> NDArray[np.float32]:
    """`x` [n] or [n, channels] at `from_hz` as float32 at `to_hz`; length `round(n * to / from)`, give or take one."""
    x32 = np.ascontiguousarray(x, dtype=np.float32)
    if from_hz == to_hz or x32.shape[0] == 0:
        return x32
    return np.asarray(soxr.resample(x32, from_hz, to_hz, quality=QUALITY), dtype=np.float32)


class StreamResampler:
    """Resamples blocks `[n]`, or `[n, channels]` where there is more than one channel, as they come; the blocks joined
    equal `resample` of the whole."""

    def __init__(self, from_hz: float, to_hz: float, channels: int = 1) -> None:
        self._empty = np.zeros(0 if channels == 1 else (0, channels), np.float32)
        self._stream = (
            None
            if from_hz == to_hz
            else soxr.ResampleStream(from_hz, to_hz, channels, dtype="float32", quality=QUALITY)
        )

    def push(self, block: NDArray[np.float32]) -> NDArray[np.float32]:
        """Take samples, give what is ready (it may be none: the filter holds some back)."""
        if self._stream is None:
            return block
        return np.asarray(self._stream.resample_chunk(np.ascontiguousarray(block, dtype=np.float32)), dtype=np.float32)

    def finish(self) -> NDArray[np.float32]:
        """Give what the filter still holds. The resampler must not be used afterwards."""
        if self._stream is None:
            return self._empty
        return np.asarray(self._stream.resample_chunk(self._empty, last=True), dtype=np.float32)


def resample_blocks(
    blocks: Iterable[NDArray[np.floating]], from_hz: float, to_hz: float, channels: int = 1
) -> Iterator[NDArray[np.float32]]:
    """Blocks at `from_hz` as blocks at `to_hz`; joined, they equal `resample` of the whole. See `StreamResampler`."""
    stream = StreamResampler(from_hz, to_hz, channels)
    for block in blocks:
        yield stream.push(np.asarray(block, np.float32))
    yield stream.finish()
