"""Level, place, equaliser and room of a track, as streams of stereo blocks `[n, 2]`; blocks of any size give the same.

Written here rather than taken from pedalboard: that package is GPL-3, and all that a mixdown needs of it is three
textbook filters and a convolution, which scipy does as fast and which are repeatable to the bit.

The filters are those of Robert Bristow-Johnson's "Cookbook formulae for audio equalizer biquad filter coefficients".
The room is noise under an exponential decay, shorter for higher frequencies (Moorer, "About This Reverberation
Business", Computer Music Journal, 1979).
"""

import math
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft, next_fast_len, rfft
from scipy.signal import butter, sosfilt

from core.song.options import MixOptions, TrackOptions

RATE_HZ = 44100
LOW_HZ, MID_HZ, HIGH_HZ = 200.0, 2500.0, 8000.0
_MID_OCTAVES = 1.5
_SHELF_SLOPE = 0.8
_ROOM_LOW_CUT_HZ = 150.0  # a room of full bass makes words dull
# Share of the decay time of each band of the room: walls and air take the high ones first.
_ROOM_BANDS = ((0.0, 1000.0, 1.0), (1000.0, 4000.0, 0.75), (4000.0, 22050.0, 0.4))
_ROOM_RISE_S = 0.008
_ROOM_SEED = 20261121
_BLOCK = 1 << 16

Stereo = NDArray[np.float32]
Kind = Literal["low_shelf", "bell", "high_shelf"]


def biquad(kind: Kind, centre_hz: float, gain_db: float) -> NDArray[np.float64]:
    """One second-order section [6], as scipy takes it: b0 b1 b2 1 a1 a2."""
    a = 10.0 ** (gain_db / 40.0)
    w = 2.0 * math.pi * centre_hz / RATE_HZ
    cos, sin = math.cos(w), math.sin(w)
    if kind == "bell":
        alpha = sin * math.sinh(math.log(2.0) / 2.0 * _MID_OCTAVES * w / sin)
        b = (1 + alpha * a, -2 * cos, 1 - alpha * a)
        poles = (1 + alpha / a, -2 * cos, 1 - alpha / a)
    else:
        alpha = sin / 2.0 * math.sqrt((a + 1 / a) * (1 / _SHELF_SLOPE - 1) + 2)
        side = 1.0 if kind == "low_shelf" else -1.0
        root = 2 * math.sqrt(a) * alpha
        b = (
            a * ((a + 1) - side * (a - 1) * cos + root),
            side * 2 * a * ((a - 1) - side * (a + 1) * cos),
            a * ((a + 1) - side * (a - 1) * cos - root),
        )
        poles = (
            (a + 1) + side * (a - 1) * cos + root,
            side * -2 * ((a - 1) + side * (a + 1) * cos),
            (a + 1) + side * (a - 1) * cos - root,
        )
    return np.array([*b, *poles]) / poles[0]


def sections(track: TrackOptions) -> NDArray[np.float64]:
    """The track's equaliser as sections [k, 6]; k = 0 where it is flat."""
    found = []
    if track.low_cut_hz:
        found.append(butter(2, track.low_cut_hz, "highpass", fs=RATE_HZ, output="sos"))
    bands: tuple[tuple[Kind, float, float], ...] = (
        ("low_shelf", LOW_HZ, track.low_db),
        ("bell", MID_HZ, track.mid_db),
        ("high_shelf", HIGH_HZ, track.high_db),
    )
    found += [biquad(kind, centre, gain)[None] for kind, centre, gain in bands if gain]
    return np.concatenate(found) if found else np.zeros((0, 6))


def sides(pan: float) -> tuple[float, float]:
    """Gains of left and right: their squares always add up to two, and in the middle both are one."""
    if pan == 0.0:
        return 1.0, 1.0
    angle = (pan + 1.0) * math.pi / 4.0
    return math.sqrt(2.0) * math.cos(angle), math.sqrt(2.0) * math.sin(angle)


class Track:
    """A stem's way through equaliser, level and place. What changes nothing is left out, so that it costs no bit."""

    def __init__(self, options: TrackOptions, gain_db: float = 0.0) -> None:
        """`gain_db` comes on top of the level."""
        self._sections = sections(options)
        self._state = np.zeros((self._sections.shape[0], 2, 2))
        gain = 10.0 ** ((options.level_db + gain_db) / 20.0)
        self._gains = np.array([gain * side for side in sides(options.pan)], np.float32)

    def push(self, block: Stereo) -> Stereo:
        """The next samples [n, 2], changed."""
        if self._sections.size and block.shape[0]:
            block, self._state = sosfilt(self._sections, block, axis=0, zi=self._state)
        return np.asarray(block * self._gains, np.float32)


def room(room_s: float, pre_delay_ms: float) -> Stereo:
    """The room's answer to a click, [n, 2], of energy one a side; the same at every call."""
    n_delay = round(pre_delay_ms / 1000.0 * RATE_HZ)
    times = np.arange(max(1, round(room_s * RATE_HZ))) / RATE_HZ
    noise = np.random.Generator(np.random.PCG64(_ROOM_SEED)).standard_normal((times.size, 2))
    total = np.zeros_like(noise)
    for low_hz, high_hz, share in _ROOM_BANDS:
        band = noise
        if low_hz:
            band = sosfilt(butter(4, low_hz, "highpass", fs=RATE_HZ, output="sos"), band, axis=0)
        if high_hz < RATE_HZ / 2:
            band = sosfilt(butter(4, high_hz, "lowpass", fs=RATE_HZ, output="sos"), band, axis=0)
        # 60 dB are a factor of a thousand.
        total += band * np.exp(-math.log(1000.0) * times / (room_s * share))[:, None]
    total *= np.minimum(times / _ROOM_RISE_S, 1.0)[:, None]
    total = sosfilt(butter(2, _ROOM_LOW_CUT_HZ, "highpass", fs=RATE_HZ, output="sos"), total, axis=0)
    total /= np.sqrt(np.square(total).sum(axis=0))
    return np.concatenate([np.zeros((n_delay, 2)), total]).astype(np.float32)


class Room:
    """A track's sound in a room: each side convolved with its own answer, block by block (overlap-add)."""

    def __init__(self, options: MixOptions) -> None:
        answer = room(options.room_s, options.pre_delay_ms)
        self._size = next_fast_len(_BLOCK + answer.shape[0] - 1, real=True)
        self._spectrum = rfft(answer, self._size, axis=0)
        self._share = np.float32(options.reverb)
        self._tail = np.zeros((0, 2), np.float32)

    def push(self, block: Stereo) -> Stereo:
        """The room alone [n, 2] for the next samples [n, 2]."""
        parts = [self._one(block[at : at + _BLOCK]) for at in range(0, block.shape[0], _BLOCK)]
        return np.concatenate(parts) if parts else block

    def _one(self, block: Stereo) -> Stereo:
        wet = np.asarray(irfft(rfft(block, self._size, axis=0) * self._spectrum, self._size, axis=0), np.float32)
        wet[: self._tail.shape[0]] += self._tail
        self._tail = wet[block.shape[0] :].copy()
        return wet[: block.shape[0]] * self._share
