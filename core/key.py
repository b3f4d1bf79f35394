"""By how many semitones to transpose a source for a voice."""

import math
from pathlib import Path

from core.summaries import KeySuggestion

_RATE_HZ = 16000
_HOP_SAMPLES = 160
_LISTEN_S = 120.0
_QUIET = 0.01  # -40 dB: blocks below hold no voice worth a pitch
_MIN_VOICED_FRAMES = 20


def suggest_key(source: Path, target_median_hz: float | None) -> KeySuggestion:
    """Compare a source's median pitch with a voice's; 0 semitones where either is unknown.

    Listens to the first two minutes that are not quiet, by Praat's autocorrelation: fast, without torch, so that
    the page's process stays small, and steady on creaky low voices, where WORLD's dio hears an octave too high.
    Raises BadInput for a file that cannot be decoded.
    """
    median = median_pitch_hz(source)
    if median is None or not target_median_hz:
        return KeySuggestion(0, median, target_median_hz)
    return KeySuggestion(semitones_between(median, target_median_hz), median, target_median_hz)


def semitones_between(source_hz: float, target_hz: float) -> int:
    """Whole semitones from one pitch to another, 12 an octave."""
    return round(12.0 * math.log2(target_hz / source_hz))


def median_pitch_hz(source: Path) -> float | None:
    """Median of voiced pitch in Hz; None if hardly anything is voiced."""
    import numpy as np

    from core.audio.decode import stream
    from core.features import pitch

    predictor = pitch.create("pm")
    voiced: list[np.ndarray] = []
    heard_s = 0.0
    for block in stream(source, _RATE_HZ):
        if heard_s >= _LISTEN_S:
            break
        if block.size == 0 or float(np.abs(block).max()) < _QUIET:
            continue
        heard_s += block.size / _RATE_HZ
        f0 = predictor.predict(block, _RATE_HZ, _HOP_SAMPLES, block.size // _HOP_SAMPLES)
        voiced.append(f0[f0 > 0])
    values = np.concatenate(voiced) if voiced else np.zeros(0, np.float32)
    return float(np.median(values)) if values.size >= _MIN_VOICED_FRAMES else None
