"""The room's late echo out of a recording: weighted prediction error, one channel.

Nakatani, Yoshioka, Kinoshita, Miyoshi and Juang, "Speech dereverberation based on variance-normalized delayed linear
prediction" (IEEE TASLP 18, 2010): in each frequency bin, what can be predicted from frames a little while back is echo
and is taken away; frames are weighted by one over the power of the speech, which is estimated in turns with the
prediction. It wants a second or more of speech and works best on a steady room; one channel takes away a part.
"""

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from core.cleaning.blocks import Block, Source, overlapped
from core.cleaning.options import CleanOptions
from core.cleaning.stft import istft, stft

_WINDOW_S = 0.046
_DELAY = 3  # frames (about 35 ms): the direct sound and early echoes, which belong to a voice, are left alone
_TAPS = 24  # frames (about 0.3 s) looked back
_BLOCK_S, _OVERLAP_S = 20.0, 2.0
_BINS_AT_ONCE = 48  # memory: frames x taps x bins
_FLOOR = 1e-5  # of the bin's mean power


def dereverbed(source: Source, options: CleanOptions) -> Iterator[Block]:
    """The step: as many samples out as in."""
    rate = source.rate_hz

    def change(x: Block) -> Block:
        source.ctx.check()
        return dereverb(x, rate, options.dereverb_rounds)

    return overlapped(source.blocks(), change, round(_BLOCK_S * rate), round(_OVERLAP_S * rate))


def dereverb(x: NDArray[np.float32], rate_hz: int, rounds: int = 3) -> NDArray[np.float32]:
    """`x` [n] with less late echo; too short or silent sound comes back as it is."""
    size = 2 ** max(6, round(math.log2(_WINDOW_S * rate_hz)))
    spectrum = stft(x, size)
    if spectrum.shape[0] < 3 * (_TAPS + _DELAY) or not np.any(x):
        return x
    out = np.empty_like(spectrum)
    # Thousands of small products: handing each out to threads costs up to sixty times more than computing it.
    with threadpool_limits(1, user_api="blas"):
        for start in range(0, spectrum.shape[1], _BINS_AT_ONCE):
            bins = slice(start, start + _BINS_AT_ONCE)
            out[:, bins] = _predicted_away(spectrum[:, bins].T, rounds).T
    return istft(out, size, x.size)


def _predicted_away(y: NDArray[np.complex64], rounds: int) -> NDArray[np.complex64]:
    """`y` [bins, T] without its late echo.

    With the past Y~ [bins, K, T] and weights w = 1 / power: filter g = (Y~ W Y~^H)^-1 (Y~ W y^H), result y - g^H Y~.
    """
    n_frames = y.shape[1]
    past = np.zeros((y.shape[0], _TAPS, n_frames), np.complex64)
    for tap in range(_TAPS):
        lag = _DELAY + tap
        past[:, tap, lag:] = y[:, : n_frames - lag]
    clean = y
    mean = np.mean(np.square(np.abs(y)), axis=1, keepdims=True) + 1e-20
    for _ in range(rounds):
        weights = (mean / np.maximum(np.square(np.abs(clean)), _FLOOR * mean)).astype(np.float32)
        weighted = past * weights[:, None, :]
        correlation = weighted @ past.conj().transpose(0, 2, 1)
        # A silent bin, or one that repeats itself, has no unique solution: a trace of white noise makes it one.
        trace = np.trace(correlation, axis1=1, axis2=2).real[:, None, None] / _TAPS
        correlation += (1e-6 * trace + 1e-12) * np.eye(_TAPS, dtype=np.complex64)
        toward = weighted @ y.conj()[:, :, None]
        taps = np.linalg.solve(correlation.astype(np.complex128), toward.astype(np.complex128))
        clean = (y - (taps.conj().transpose(0, 2, 1) @ past)[:, 0, :]).astype(np.complex64)
    return clean
