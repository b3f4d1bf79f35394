"""Loudness to a target LUFS, under a true-peak ceiling. Arrays are mono `[n]` unless said otherwise, full scale 1.0.

Loudness: ITU-R BS.1770-4 (K weighting, 400 ms blocks every 100 ms, gates at -70 LUFS and 10 LU below), by pyloudnorm's
filters. True peak: 4x oversampling (BS.1770-4, Annex 2).
"""

import math
from functools import lru_cache

import numpy as np
import pyloudnorm
from numpy.typing import NDArray
from scipy.signal import lfilter

from core.audio.limiter import limit, true_peak

_BLOCK_S = 0.4
_STEPS_PER_BLOCK = 4
_ABSOLUTE_GATE_LUFS = -70.0
_RELATIVE_GATE_LU = 10.0
_OFFSET_DB = -0.691  # BS.1770: what makes a full-scale 997 Hz sine read -3.01
_MAX_GAIN_DB = 40.0  # more would lift a room's noise to the loudness of a voice
_MAKE_UP_ROUNDS = 3
_CLOSE_LU = 0.1


@lru_cache(maxsize=16)
def _k_filters(rate_hz: int) -> tuple[tuple[NDArray[np.float64], NDArray[np.float64]], ...]:
    # `_filters` is where pyloudnorm keeps the two biquads; its public call wants the whole signal at once.
    meter = pyloudnorm.Meter(rate_hz)
    return tuple((np.asarray(f.b), np.asarray(f.a)) for f in meter._filters.values())


class LoudnessMeter:
    """Integrated loudness of a stream of blocks `[n]`, or `[n, 2]`. Memory: one number per 100 ms."""

    def __init__(self, rate_hz: int, channels: int = 1) -> None:
        self._filters = _k_filters(rate_hz)
        more = () if channels == 1 else (channels,)
        self._states = [np.zeros((max(len(a), len(b)) - 1, *more)) for b, a in self._filters]
        self._step = max(1, round(rate_hz * _BLOCK_S / _STEPS_PER_BLOCK))
        self._rest = np.zeros((0, *more))
        self._energies: list[NDArray[np.float64]] = []

    def push(self, block: NDArray[np.floating]) -> None:
        """Take the next samples."""
        if block.size == 0:
            return
        x = np.asarray(block, np.float64)
        for index, (b, a) in enumerate(self._filters):
            x, self._states[index] = lfilter(b, a, x, axis=0, zi=self._states[index])
        joined = np.concatenate([self._rest, x]) if self._rest.size else x
        n_steps = joined.shape[0] // self._step
        # The powers of left and right add up (BS.1770-4, section 2, weights of one).
        whole = joined[: n_steps * self._step].reshape(n_steps, self._step * math.prod(x.shape[1:]))
        self._energies.append(np.einsum("ij,ij->i", whole, whole) / self._step)
        self._rest = joined[n_steps * self._step :].copy()

    def lufs(self) -> float:
        """Loudness of what was pushed so far, LUFS; -inf for silence and for less than 400 ms."""
        steps = np.concatenate(self._energies) if self._energies else np.zeros(0)
        if steps.size < _STEPS_PER_BLOCK:
            return -math.inf
        blocks = np.convolve(steps, np.full(_STEPS_PER_BLOCK, 1.0 / _STEPS_PER_BLOCK), "valid")
        loud = blocks[blocks > _power(_ABSOLUTE_GATE_LUFS)]
        if loud.size == 0:
            return -math.inf
        gate = max(_power(_ABSOLUTE_GATE_LUFS), float(loud.mean()) * 10.0 ** (-_RELATIVE_GATE_LU / 10.0))
        return _OFFSET_DB + 10.0 * math.log10(float(blocks[blocks > gate].mean()))


def _power(lufs: float) -> float:
    return float(10.0 ** ((lufs - _OFFSET_DB) / 10.0))


def integrated_lufs(x: NDArray[np.floating], rate_hz: int) -> float:
    """Integrated loudness of `x` [n], LUFS; -inf for silence and for less than 400 ms."""
    meter = LoudnessMeter(rate_hz)
    meter.push(x)
    return meter.lufs()


def true_peak_dbtp(x: NDArray[np.floating], rate_hz: int) -> float:
    """Highest level between the samples too, dBTP (4x oversampled); -inf for silence or no samples."""
    peak = true_peak(np.asarray(x, np.float32))
    return 20.0 * math.log10(peak) if peak > 0 else -math.inf


def rms_db(x: NDArray[np.floating]) -> float:
    """RMS level, dBFS; -inf for silence or no samples."""
    if x.size == 0:
        return -math.inf
    power = float(np.mean(np.square(x, dtype=np.float64)))
    return 10.0 * math.log10(power) if power > 0 else -math.inf


def normalize(
    x: NDArray[np.floating],
    rate_hz: int,
    target_lufs: float,
    ceiling_dbtp: float = -1.0,
    *,
    loudness: float | None = None,
) -> NDArray[np.float32]:
    """`x` at `target_lufs`, its true peak never above `ceiling_dbtp`.

    A gain (40 dB at most), then a look-ahead limiter; where the limiter took loudness away, a little more gain makes up
    for it. What cannot reach the target without being crushed stays softer. Sound too short to have a loudness
    (< 400 ms) is set by its RMS; silence is returned as it is. `loudness`: LUFS of `x`, where it is known already.
    """
    audio = np.asarray(x, np.float32)
    loudness = integrated_lufs(audio, rate_hz) if loudness is None else loudness
    if math.isinf(loudness):
        loudness = rms_db(audio)
    if math.isinf(loudness) or loudness < _ABSOLUTE_GATE_LUFS:
        return audio.copy()
    gain_db = min(target_lufs - loudness, _MAX_GAIN_DB)
    wanted = loudness + gain_db
    louder = _gained(audio, gain_db)
    out = limit(louder, rate_hz, ceiling_dbtp)
    if np.array_equal(out, louder):
        return out
    for _ in range(_MAKE_UP_ROUNDS):
        missing = wanted - integrated_lufs(out, rate_hz)
        if not _CLOSE_LU < missing < math.inf:
            break
        gain_db += min(missing, 3.0)
        out = limit(_gained(audio, gain_db), rate_hz, ceiling_dbtp)
    return out


def _gained(x: NDArray[np.float32], gain_db: float) -> NDArray[np.float32]:
    return np.asarray(x * np.float32(10.0 ** (gain_db / 20.0)), np.float32)
