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
_SPECTRUM_S = 0.046
_SOFT_PERCENT = 10
_BAND_PERCENT = 5
_BAND_QUANTILE = 1.645  # of the normal distribution, for _BAND_PERCENT
_LEAST_FRAMES = 12
_LEAST_BINS = 8
_N_BANDS = 23
_BAND_LOW_HZ = 80.0
_BAND_TOP_HZ = 16000.0


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
    it does not show its own floor.
    """
    audio = np.asarray(x, np.float32)
    if audio.size == 0:
        return Quality(0.0, -math.inf, -math.inf, 0.0, 0.0, 1.0, 0.0, 0.0)
    peak = float(np.abs(audio).max())
    powers = frame_powers(audio, rate_hz)
    spectra = _spectra(audio, rate_hz)
    return Quality(
        duration_s=audio.size / rate_hz,
        peak_db=20.0 * math.log10(peak) if peak > 0 else -math.inf,
        lufs=integrated_lufs(audio, rate_hz),
        snr_db=_snr_db(powers, min(_softest(powers), _band_noise(spectra, rate_hz)), noise_db),
        clipped_fraction=clipped_fraction(audio),
        silence_fraction=float(np.mean(powers <= _active_floor(powers))),
        bandwidth_hz=_bandwidth_hz(spectra, rate_hz),
        dc=float(audio.mean(dtype=np.float64)),
    )


def frame_powers(x: NDArray[np.float32], rate_hz: int) -> NDArray[np.float64]:
    """Mean square of every 25 ms, [n_frames >= 1]; a shorter sound is one frame, a rest at the end is left out."""
    size = min(x.size, max(1, round(_FRAME_S * rate_hz)))
    n_frames = x.size // size
    whole = x[: n_frames * size].reshape(n_frames, size).astype(np.float64)
    return np.einsum("ij,ij->i", whole, whole) / size


def _spectra(x: NDArray[np.float32], rate_hz: int) -> NDArray[np.float32]:
    """Power spectra of half-overlapping Hann windows of about 46 ms, [n_frames >= 1, n_bins], scaled so that the sum
    over the bins is the mean square of the frame."""
    size = 2 ** max(6, round(math.log2(_SPECTRUM_S * rate_hz)))
    padded = np.pad(x, (0, max(0, size - x.size)))
    window = np.hanning(size).astype(np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(padded, size)[:: size // 2] * window
    power = np.square(np.abs(np.fft.rfft(frames, axis=1)))
    return np.asarray(power * (2.0 / (size * float(np.dot(window, window)))), np.float32)


def _active_floor(powers: NDArray[np.float64]) -> float:
    """The power that parts voice from pause: 25 dB below the loud frames (their 95th percentile)."""
    return max(float(np.percentile(powers, 95)) * 10.0 ** (-_ACTIVE_DB / 10.0), 1e-12)


def _softest(powers: NDArray[np.floating]) -> float:
    """The noise power that the pauses show: the softest tenth of the frames."""
    return float(np.percentile(powers, _SOFT_PERCENT)) if powers.size else 0.0


def _band_noise(spectra: NDArray[np.float32], rate_hz: int) -> float:
    """The noise power that shows without a pause: speech never fills all bands at once, steady noise always does.

    Sum over third-octave-wide bands (80 Hz to 16 kHz) of the band's fifth percentile over time, each corrected for how
    far that lies below the mean in noise (chi-squared with two degrees of freedom a bin, two thirds of that for
    a Hann window; Wilson and Hilferty's cube root approximation). inf where there are too few frames.
    """
    if spectra.shape[0] < _LEAST_FRAMES:
        return math.inf
    n_bins = spectra.shape[1]
    top = min(_BAND_TOP_HZ / (rate_hz / 2.0), 0.95) * (n_bins - 1)
    low = _BAND_LOW_HZ / (rate_hz / 2.0) * (n_bins - 1)
    edges = np.unique(np.round(np.geomspace(low, top, _N_BANDS + 1)).astype(np.int64))
    edges = np.concatenate([edges[:1], edges[1:][np.diff(edges) >= _LEAST_BINS]])
    bands = np.add.reduceat(spectra[:, : edges[-1]], edges[:-1], axis=1)
    freedom = np.diff(edges) * 4.0 / 3.0
    share = (1.0 - 2.0 / (9.0 * freedom) - _BAND_QUANTILE * np.sqrt(2.0 / (9.0 * freedom))) ** 3
    return float((np.percentile(bands, _BAND_PERCENT, axis=0) / share).sum())


def _snr_db(powers: NDArray[np.float64], noise: float, noise_db: float | None) -> float:
    """Voice over noise, dB, in 0..80. Voice: mean of the active frames less the noise in them. 0 for silence."""
    active = powers[powers > _active_floor(powers)]
    if active.size == 0:
        return 0.0
    if noise_db is not None:
        noise = min(noise, 10.0 ** (noise_db / 10.0))
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


def _bandwidth_hz(spectra: NDArray[np.float32], rate_hz: int) -> float:
    """Highest frequency within 65 dB of the strongest, from the mean spectrum of the louder half of the frames, Hz.

    An 8 kHz telephone recording that was resampled to 44.1 kHz shows about 4000 here.
    """
    levels = spectra.sum(axis=1)
    mean = spectra[levels >= np.percentile(levels, 50)].mean(axis=0, dtype=np.float64)
    smooth = np.convolve(mean, np.ones(5) / 5, "same")
    top = float(smooth.max())
    if top <= 0:
        return 0.0
    last = int(np.flatnonzero(smooth >= top * 10.0 ** (-_BANDWIDTH_DB / 10.0))[-1])
    return min(rate_hz / 2.0, last * rate_hz / (2.0 * (spectra.shape[1] - 1)))
