"""How long a room rings, from the speech alone.

Where a sound stops, its level falls in a straight line (in dB) as fast as the room lets it. Fitting free decays of
short-time energy and ordering the rates follows Ratnam, Jones, Wheeler, O'Brien, Lansing and Feng, "Blind estimation
of reverberation time" (JASA 114, 2003), here in sub-bands as Wen, Habets and Naylor do ("Blind estimation of
reverberation time based on the distribution of signal decay rates", ICASSP 2008). A mouth closes no faster than a room
of about 0.25 s decays, so dry speech reads 0.2 to 0.35 s. Above about 1 s pauses are too short to hear the whole
decay, and the figure comes out too low. A held note that is let fade counts as a room.
"""

import numpy as np
from numpy.typing import NDArray

RATE_HZ = 16000
_SIZE = 512
_HOP = 128
_LOW_HZ, _HIGH_HZ = 300.0, 6000.0
_N_BANDS = 10
_FALLS_DB = ((15.0, 10.0), (8.0, 4.0))  # (a decay falls by this at least, and counts down to this above the floor)
_LEAST_S = 2.0
_START_WITHIN_DB = 15.0  # of the band's loud frames
_RISE_DB = 1.0  # a decay ends where the level comes back by this
_LEAST_FRAMES = 6
_LEAST_DECAYS = 10
_QUANTILE = 0.6  # of the decay times, weighted by length; found on speech in rooms of 0.2 to 0.9 s


def rt60_s(audio16k: NDArray[np.float32]) -> float | None:
    """Reverberation time of speech [N] at 16 kHz, seconds; None with fewer than ten decays to judge by.

    In a room that rings so long that hardly any decay is whole, shorter ones are taken, from two seconds of sound on.
    """
    levels = _band_levels(audio16k).T
    for drop_db, above_floor_db in _FALLS_DB if audio16k.size >= _LEAST_S * RATE_HZ else _FALLS_DB[:1]:
        decays = [decay for band in levels for decay in _decays(band, drop_db, above_floor_db)]
        if len(decays) >= _LEAST_DECAYS:
            break
    else:
        return None
    decays.sort()
    weights = np.cumsum([length for _, length in decays])
    return float(decays[int(np.searchsorted(weights, _QUANTILE * weights[-1]))][0])


def _band_levels(audio16k: NDArray[np.float32]) -> NDArray[np.float64]:
    """Smoothed level of ten bands, [T, 10] dB."""
    window = np.hanning(_SIZE).astype(np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(np.pad(audio16k, (0, _SIZE)), _SIZE)[::_HOP] * window
    power = np.square(np.abs(np.fft.rfft(frames, axis=1)))
    edges = np.round(np.geomspace(_LOW_HZ, _HIGH_HZ, _N_BANDS + 1) * _SIZE / RATE_HZ).astype(int)
    bands = np.add.reduceat(power[:, : edges[-1]], edges[:-1], axis=1)
    smooth = np.apply_along_axis(np.convolve, 0, bands, np.full(3, 1 / 3), "same")
    return np.asarray(10.0 * np.log10(smooth + 1e-12))


def _decays(level_db: NDArray[np.float64], drop_db: float, above_floor_db: float) -> list[tuple[float, int]]:
    """(seconds to fall by 60 dB, frames) of every free decay in one band's level [T]."""
    low, high = np.percentile(level_db, [5, 95])
    floor, enough = low + above_floor_db, high - _START_WITHIN_DB
    levels = level_db.tolist()  # plain numbers: the loop reads one at a time
    found: list[tuple[float, int]] = []
    i, n = 0, len(levels)
    while i < n - 1:
        if levels[i] < enough or levels[i + 1] >= levels[i]:
            i += 1
            continue
        j, lowest, at = i + 1, levels[i], i
        while j < n and floor < levels[j] <= lowest + _RISE_DB:
            if levels[j] < lowest:
                lowest, at = levels[j], j
            j += 1
        if at - i + 1 >= _LEAST_FRAMES and levels[i] - lowest >= drop_db:
            fall = level_db[i + 1 : at + 1]  # the first frame still holds the sound
            slope = float(np.polyfit(np.arange(fall.size) * _HOP / RATE_HZ, fall, 1)[0])
            if slope < 0:
                found.append((-60.0 / slope, fall.size))
        i = max(j, i + 1)
    return found
