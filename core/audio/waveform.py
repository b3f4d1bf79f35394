"""What a waveform drawing needs: the lowest and highest sample of each of `n` equal stretches."""

import os

import numpy as np
from numpy.typing import NDArray

from core.errors import BadInput

_FINE_S = 0.01


def peaks(source: str | os.PathLike[str] | NDArray[np.floating], n: int) -> NDArray[np.float32]:
    """`[n, 2]` (minimum, maximum), full scale 1.0, of a file or of mono samples `[m]`.

    A file is streamed, so its length costs no memory; its stretches are measured on a 10 ms grid. With fewer samples
    than stretches, samples repeat; no samples give zeros. Raises BadInput (unreadable file, n < 1).
    """
    if n < 1:
        raise BadInput("A waveform needs at least one column.", "Ask for more columns.", where="n")
    if isinstance(source, np.ndarray):
        samples = np.asarray(source, np.float32)
        return _reduce(samples, samples, n)
    from core.audio.decode import probe, stream  # the page imports this module; the decoder loads when it is used

    size = max(1, round(_FINE_S * probe(source).rate_hz))
    lows: list[NDArray[np.float32]] = []
    highs: list[NDArray[np.float32]] = []
    rest = np.zeros(0, np.float32)
    for block in stream(source):
        joined = np.concatenate([rest, block])
        n_whole = joined.size // size
        whole = joined[: n_whole * size].reshape(n_whole, size)
        lows.append(whole.min(axis=1))
        highs.append(whole.max(axis=1))
        rest = joined[n_whole * size :]
    if rest.size:
        lows.append(rest.min(keepdims=True))
        highs.append(rest.max(keepdims=True))
    if not lows:
        return np.zeros((n, 2), np.float32)
    return _reduce(np.concatenate(lows), np.concatenate(highs), n)


def _reduce(low: NDArray[np.float32], high: NDArray[np.float32], n: int) -> NDArray[np.float32]:
    if low.size == 0:
        return np.zeros((n, 2), np.float32)
    edges = np.linspace(0, low.size, n + 1).astype(np.int64)
    starts = np.minimum(edges[:-1], low.size - 1)
    # reduceat gives the element itself where a stretch is empty, which is the repetition wanted there.
    return np.stack([np.minimum.reduceat(low, starts), np.maximum.reduceat(high, starts)], axis=1).astype(np.float32)
