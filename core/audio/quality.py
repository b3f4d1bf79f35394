"""Figures of a recording that tell whether a voice can learn from it. Mono `[n]`, full scale 1.0."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.audio.loudness import integrated_lufs

MAX_SNR_DB = 80.0  # beyond 13 bits nobody hears the floor, and digital silence has none at all
_FRAME_S = 0.025
_FULL_SCALE = 0.985  # resampling leaves most of a flattened crest above this; clean sound is there by chance only
_FLAT_STEP = 1e-4
_FLAT_SAMPLES = 4
_ACTIVE_DB = 25.0  # frames within this of the loud ones are taken for voice
_BANDWIDTH_DB = 65.0
_FFT = 2048


@dataclass(frozen=True)
class Quality:
    """`peak_db` dBFS, `lufs` LUFS (both -inf for silence); `snr_db` 0..80; fractions 0..1; `bandwidth_hz` the highest
    frequency that still carries sound; `dc` the mean, full scale 1.0."""

    duration_s: float
    peak_db: float
    lufs: float
    snr_db: float
    clipped_fraction: float
    silence_fraction: float
    bandwidth_hz: float
    dc: float


def measure(x: NDArray[np.floating], rate_hz: int, noise_db: float | None = None) -> Quality:
    """All figures of `x` [n].

    `noise_db`: the noise floor (RMS, dBFS) of the recording that `x` was cut from, if known: a clip without a pause in
    it does not show its own floor, and its softest sounds would be taken for noise.
    """
    audio = np.asarray(x, np.float32)
    if audio.size == 0:
        return Quality(0.0, -math.inf, -math.inf, 0.0, 0.0, 1.0, 0.0, 0.0)
    peak = float(np.abs(audio).max())
    frames = frame_powers(audio, rate_hz)
    return Quality(
        duration_s=audio.size / rate_hz,
        peak_db=20.0 * math.log10(peak) if peak > 0 else -math.inf,
        lufs=integrated_lufs(audio, rate_hz),
        snr_db=snr_db(frames, noise_db),
        clipped_fraction=clipped_fraction(audio),
        silence_fraction=float(np.mean(frames <= _active_floor(frames))),
        bandwidth_hz=bandwidth_hz(audio, rate_hz, frames),
        dc=float(audio.mean(dtype=np.float64)),
    )


def frame_powers(x: NDArray[np.float32], rate_hz: int) -> NDArray[np.float64]:
    """Mean square of every 25 ms, [n_frames >= 1]; a shorter sound is one frame, a rest at the end is left out."""
    size = min(x.size, max(1, round(_FRAME_S * rate_hz)))
    n_frames = x.size // size
    whole = x[: n_frames * size].reshape(n_frames, size).astype(np.float64)
    return np.einsum("ij,ij->i", whole, whole) / size


def _active_floor(powers: NDArray[np.float64]) -> float:
    """The power that parts voice from pause: 25 dB below the loud frames (their 95th percentile)."""
    return max(float(np.percentile(powers, 95)) * 10.0 ** (-_ACTIVE_DB / 10.0), 1e-12)


def noise_floor_db(powers: NDArray[np.floating]) -> float:
    """Level of the softest tenth of the frames [n], dBFS; -inf where they are digital silence."""
    softest = float(np.percentile(powers, 10)) if powers.size else 0.0
    return 10.0 * math.log10(softest) if softest > 0 else -math.inf


def snr_db(powers: NDArray[np.float64], noise_db: float | None = None) -> float:
    """Voice over noise floor, dB, in 0..80, from frame powers [n].

    Voice: mean of the active frames less the noise in them. Noise: the softest tenth of the frames, or `noise_db` if
    that is lower. 0 for silence.
    """
    active = powers[powers > _active_floor(powers)]
    if active.size == 0:
        return 0.0
    noise = 10.0 ** (min(noise_floor_db(powers), math.inf if noise_db is None else noise_db) / 10.0)
    voice = float(active.mean()) - noise
    if voice <= 0:
        return 0.0
    if noise <= 0:
        return MAX_SNR_DB
    return min(MAX_SNR_DB, max(0.0, 10.0 * math.log10(voice / noise)))


def clipped_fraction(x: NDArray[np.float32]) -> float:
    """Part of the samples that sit at full scale, or in a flat run of four or more near the highest peak."""
    if x.size == 0:
        return 0.0
    magnitude = np.abs(x)
    peak = float(magnitude.max())
    if peak < 1e-3:
        return 0.0
    clipped = magnitude >= _FULL_SCALE
    flat = (np.abs(np.diff(x)) <= _FLAT_STEP * peak) & (magnitude[1:] >= 0.9 * peak)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flat, [False]]).astype(np.int8)))
    for start, end in zip(edges[::2], edges[1::2], strict=True):
        if end - start >= _FLAT_SAMPLES - 1:
            clipped[start : end + 1] = True
    return float(clipped.mean())


def bandwidth_hz(x: NDArray[np.float32], rate_hz: int, powers: NDArray[np.float64] | None = None) -> float:
    """Highest frequency within 65 dB of the strongest, from the mean spectrum of the active part, Hz.

    An 8 kHz telephone recording that was resampled to 44.1 kHz shows about 4000 here.
    """
    if x.size < _FFT:
        x = np.pad(x, (0, _FFT - x.size))
    n_frames = min(400, 1 + (x.size - _FFT) // _FFT)
    starts = np.linspace(0, x.size - _FFT, n_frames).astype(np.int64)
    frames = np.stack([x[s : s + _FFT] for s in starts])
    levels = np.einsum("ij,ij->i", frames, frames, dtype=np.float64)
    frames = frames[levels >= np.percentile(levels, 50)]
    spectrum = np.mean(np.abs(np.fft.rfft(frames * np.hanning(_FFT).astype(np.float32), axis=1)) ** 2, axis=0)
    smooth = np.convolve(spectrum, np.ones(5) / 5, "same")
    top = float(smooth.max())
    if top <= 0:
        return 0.0
    last = int(np.flatnonzero(smooth >= top * 10.0 ** (-_BANDWIDTH_DB / 10.0))[-1])
    return min(rate_hz / 2.0, last * rate_hz / _FFT)
