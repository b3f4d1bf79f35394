"""A recording in pieces of some minutes, cut where it is quiet: memory does not grow with its length."""

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

RATE_HZ = 16000
CHUNK_S = 300.0
_SEARCH_S = 30.0
_FRAME_S, _SMOOTH_FRAMES = 0.05, 8


def quiet_chunks(
    blocks: Iterable[NDArray[np.float32]], chunk_s: float = CHUNK_S, search_s: float = _SEARCH_S
) -> Iterator[tuple[float, NDArray[np.float32]]]:
    """(start in seconds, samples [n]) of pieces of at most `chunk_s`, from blocks of 16 kHz mono.

    Each is cut at the quietest place of its last `search_s`; together they are all of the sound.
    """
    most, search = round(chunk_s * RATE_HZ), round(search_s * RATE_HZ)
    held: list[NDArray[np.float32]] = []
    n_held, done = 0, 0
    for block in blocks:
        held.append(block)
        n_held += block.size
        while n_held > most:
            joined = np.concatenate(held)
            cut = quietest(joined, most - search, most)
            yield done / RATE_HZ, joined[:cut]
            done += cut
            held, n_held = [joined[cut:].copy()], joined.size - cut
    if n_held:
        yield done / RATE_HZ, np.concatenate(held)


def quietest(audio: NDArray[np.float32], low: int, high: int) -> int:
    """The sample of [low, high) about which 0.4 s are the quietest."""
    low, high = max(1, low), min(high, audio.size)
    frame = round(_FRAME_S * RATE_HZ)
    n_frames = (high - low) // frame
    if n_frames < _SMOOTH_FRAMES:
        return (low + high) // 2
    part = audio[low : low + n_frames * frame].astype(np.float64)
    power = np.square(part).reshape(n_frames, frame).mean(axis=1)
    smooth = np.convolve(power, np.ones(_SMOOTH_FRAMES), mode="valid")
    return low + (int(np.argmin(smooth)) + _SMOOTH_FRAMES // 2) * frame
