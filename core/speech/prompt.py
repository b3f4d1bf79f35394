"""A reference clip that lends its voice: is it a good one, and what does an engine make of it?"""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.errors import BadInput
from core.speech.sentences import weight

MIN_S, GOOD_MIN_S, GOOD_MAX_S, MAX_S = 1.0, 3.0, 30.0, 60.0
_SILENT_PEAK_DB = -50.0
_QUIET_LUFS = -40.0
_NOISY_SNR_DB = 15.0
_CLIPPED = 0.001
_LETTERS_A_SECOND = 2.0, 35.0
"""Slowest and fastest speech; a Chinese character counts three. Outside of them the words are of something else."""


@dataclass(frozen=True)
class ReferenceClip:
    """A checked clip.

    Attributes:
        audio: mono `[n]` at `rate_hz`, full scale 1.0.
        rate_hz: of `audio`.
        text: what is said in it; empty if unknown.
        sha256: of the file's bytes.
        path: where it lies.
        findings: sentences for a person about what may make the voice worse; none for a good clip.
    """

    audio: NDArray[np.float32]
    rate_hz: int
    text: str
    sha256: str
    path: Path
    findings: tuple[str, ...] = field(default=())

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.audio.size / self.rate_hz


def read_clip(path: str | Path, rate_hz: int, text: str = "") -> ReferenceClip:
    """Read and check a clip of any format, mixed to mono at `rate_hz`.

    Raises BadInput: cannot be decoded, silent, shorter than `MIN_S` or longer than `MAX_S` seconds.
    """
    from core.audio.decode import load, probe
    from core.audio.quality import measure

    file = Path(path)
    info = probe(file)
    _refuse_length(file, info.duration_s if info.duration_s and info.duration_s > MAX_S else None)
    audio = load(file, rate_hz, MAX_S + 1.0)
    duration_s = audio.size / rate_hz
    _refuse_length(file, duration_s)
    quality = measure(audio, rate_hz)
    if not np.isfinite(audio).all() or quality.peak_db < _SILENT_PEAK_DB:
        raise BadInput(
            f"{file.name} is silent, so it has no voice to lend.",
            f"Choose a clip of {GOOD_MIN_S:g} to {GOOD_MAX_S:g} seconds in which one person speaks.",
            where=str(file),
        )
    findings = []
    if duration_s < GOOD_MIN_S:
        findings.append(f"It is {duration_s:.1f} s long; {GOOD_MIN_S:g} s or more give a closer likeness.")
    if duration_s > GOOD_MAX_S:
        findings.append(f"It is {duration_s:.0f} s long; up to {GOOD_MAX_S:g} s are enough, and faster.")
    if quality.lufs < _QUIET_LUFS:
        findings.append(f"It is very quiet ({quality.lufs:.0f} LUFS).")
    if quality.snr_db < _NOISY_SNR_DB:
        findings.append(f"It is noisy ({quality.snr_db:.0f} dB above the noise); the noise is imitated too.")
    if quality.clipped_fraction > _CLIPPED:
        findings.append("It is clipped; the distortion is imitated too.")
    findings += _wrong_words(text.strip(), duration_s)
    return ReferenceClip(audio, rate_hz, text.strip(), file_sha256(file), file, tuple(findings))


def roles(clip: ReferenceClip, mode: str, alone: bool) -> tuple[ReferenceClip | None, ReferenceClip | None]:
    """(the clip that speech goes on from, the clip whose voice alone is taken): one of them, or both.

    `mode`: "reference" and "both" say so; any other continues a clip whose words are known, and takes the voice of one
    without words where a model can (`alone`).
    """
    if mode == "reference":
        return None, clip
    if mode == "both":
        return clip, clip
    return (None, clip) if alone and not clip.text else (clip, None)


def _wrong_words(text: str, duration_s: float) -> list[str]:
    """Whether nobody could say this in that time."""
    slow, fast = (rate * duration_s for rate in _LETTERS_A_SECOND)
    if text and weight(text) < slow:
        return [f"Its words are too few for {duration_s:.1f} s: check that they are what is said in it."]
    if weight(text) > fast:
        return [f"Its words are too many for {duration_s:.1f} s: check that they are what is said in it."]
    return []


def file_sha256(path: str | Path) -> str:
    """Digest of a file's bytes, hexadecimal."""
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def _refuse_length(file: Path, duration_s: float | None) -> None:
    if duration_s is None:
        return
    if duration_s < MIN_S:
        raise BadInput(
            f"{file.name} is {duration_s:.1f} s long, too short to hear a voice in it.",
            f"Choose a clip of {GOOD_MIN_S:g} to {GOOD_MAX_S:g} seconds.",
            where=str(file),
        )
    if duration_s > MAX_S:
        raise BadInput(
            f"{file.name} is longer than {MAX_S:g} s, too long for a reference.",
            f"Cut {GOOD_MIN_S:g} to {GOOD_MAX_S:g} seconds of clean speech out of it.",
            where=str(file),
        )
