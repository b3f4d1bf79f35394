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
    """Resamples mono blocks as they come; the blocks joined equal `resample` of the whole."""

    def __init__(self, from_hz: float, to_hz: float) -> None:
        self._same = from_hz == to_hz
        self._stream = None if self._same else soxr.ResampleStream(from_hz, to_hz, 1, dtype="float32", quality=QUALITY)

    def push(self, block: NDArray[np.float32]) -> NDArray[np.float32]:
        """Take samples [n], give what is ready [m] (m may be 0: the filter holds some back)."""
        if self._stream is None:
            return block
        return np.asarray(self._stream.resample_chunk(np.ascontiguousarray(block, dtype=np.float32)), dtype=np.float32)

    def finish(self) -> NDArray[np.float32]:
        """Give what the filter still holds. The resampler must not be used afterwards."""
        empty = np.zeros(0, np.float32)
        if self._stream is None:
            return empty
        return np.asarray(self._stream.resample_chunk(empty, last=True), dtype=np.float32)


def resample_blocks(
    blocks: Iterable[NDArray[np.floating]], from_hz: float, to_hz: float
) -> Iterator[NDArray[np.float32]]:
    """Blocks [n] at `from_hz` as blocks [m] at `to_hz`; joined, they equal `resample` of the whole."""
    stream = StreamResampler(from_hz, to_hz)
    for block in blocks:
        yield stream.push(np.asarray(block, np.float32))
    yield stream.finish()
