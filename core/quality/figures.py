"""Everything that is measured of one clip on its own. Heavy: imported by the processes that measure."""

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.audio import vad
from core.audio.decode import load, probe
from core.audio.loudness import true_peak_dbtp
from core.audio.quality import measure
from core.audio.resample import resample
from core.errors import Unavailable
from core.quality import duplicates, speakers
from core.quality.mel import active_s, fingerprint, log_mel
from core.quality.notes import note_of
from core.quality.reverb import rt60_s

FIGURES_VERSION = 2
"""Raise it when a figure below is computed otherwise, so that cached ones are measured again."""

LONGEST_S = 120.0
"""Of a longer file only this much is looked at: a clip must fit in memory many times over."""

_HOP_S = 0.01
_NO_LEVEL_DB = -120.0  # JSON has no infinity


@dataclass(frozen=True)
class ClipFigures:
    """One clip, measured. None: could not be measured (too short, silent, or a part is not installed).

    `duration_s` of the file; `lufs`, `true_peak_dbtp` (-120 for silence); `snr_db` 0..80; `clipped_fraction`,
    `speech_ratio`, `voiced_share` 0..1; `bandwidth_hz` the highest frequency with sound; `rt60_s` see
    `core.quality.reverb`; f0 percentiles 5, 50, 95 in Hz; `notes` seconds of voiced time by MIDI note; `speech_s` and
    `active_s` seconds of speech and between the first and last sound; `fingerprint` and `speaker` packed vectors.
    """

    duration_s: float
    lufs: float
    true_peak_dbtp: float
    snr_db: float
    clipped_fraction: float
    bandwidth_hz: float
    active_s: float
    rt60_s: float | None = None
    speech_s: float | None = None
    speech_ratio: float | None = None
    voiced_share: float | None = None
    f0_low_hz: float | None = None
    f0_median_hz: float | None = None
    f0_high_hz: float | None = None
    notes: dict[int, float] = field(default_factory=dict)
    fingerprint: str = ""
    speaker: str = ""


def measure_clip(path: Path, embedder: speakers.Embedder = speakers.TIMBRE) -> ClipFigures:
    """Measure one file. Raises BadInput (cannot be decoded), ModelFileError (of the embedder)."""
    info = probe(path)
    audio = load(path, info.rate_hz, LONGEST_S)
    audio16k = resample(audio, info.rate_hz, vad.RATE_HZ)
    quality = measure(audio, info.rate_hz)
    mel = log_mel(audio16k)
    duration_s = audio.size / info.rate_hz
    speech = _speech_s(audio16k)
    audible = quality.peak_db > -60.0
    return ClipFigures(
        duration_s=round(max(duration_s, info.duration_s or 0.0), 4),
        lufs=round(max(_NO_LEVEL_DB, quality.lufs), 2),
        true_peak_dbtp=round(max(_NO_LEVEL_DB, true_peak_dbtp(audio, info.rate_hz)), 2),
        snr_db=round(quality.snr_db, 1),
        clipped_fraction=round(quality.clipped_fraction, 6),
        bandwidth_hz=round(quality.bandwidth_hz, 0),
        active_s=round(active_s(mel), 3) if audible else 0.0,
        rt60_s=_rounded(rt60_s(audio16k) if audible else None, 2),
        speech_s=_rounded(speech, 3),
        speech_ratio=_rounded(speech / duration_s if speech is not None and duration_s else None, 3),
        fingerprint=duplicates.pack(fingerprint(mel)) if audible else "",
        speaker=speakers.pack(embedder(audio16k)) if audible else "",
        **(_pitch(audio16k) if audible else {}),
    )


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None or not math.isfinite(value) else round(value, digits)


def _speech_s(audio16k: NDArray[np.float32]) -> float | None:
    try:
        spans = vad.speech_spans(audio16k, vad.VadParams(pad_s=0.0))
    except Unavailable:
        return None
    return sum(span.end_s - span.start_s for span in spans)


def _pitch(audio16k: NDArray[np.float32]) -> dict[str, Any]:
    """The pitch fields; empty where Praat is not installed."""
    from core.features.pitch.praat import PraatPitch

    hop = round(_HOP_S * vad.RATE_HZ)
    try:
        f0 = PraatPitch().predict(audio16k, vad.RATE_HZ, hop, audio16k.size // hop)
    except ImportError:
        return {}
    voiced = f0[f0 > 0]
    fields: dict[str, Any] = {"voiced_share": round(voiced.size / max(1, f0.size), 3)}
    if voiced.size:
        low, median, high = np.percentile(voiced, [5, 50, 95])
        notes, counts = np.unique([note_of(float(hz)) for hz in voiced], return_counts=True)
        fields |= {
            "f0_low_hz": round(float(low), 1),
            "f0_median_hz": round(float(median), 1),
            "f0_high_hz": round(float(high), 1),
            "notes": {int(note): round(int(count) * _HOP_S, 2) for note, count in zip(notes, counts, strict=True)},
        }
    return fields
