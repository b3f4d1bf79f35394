"""Which clips do not sound like the rest of the set.

An embedder turns a clip into a vector; the vectors far from the middle of the set are put up for review. With a
speaker network on this machine (`core.features.speaker`) that tells people apart. Without one there is `timbre`: mean
and spread of cepstra over the clip. It tells a telephone from a microphone, music from speech, a wrong file, and some
voices from others, but not two similar ones; it hears another room or way of speaking as another speaker. Either way,
when a set is half one voice and half another, neither half is far from the middle.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.errors import BadInput, Unavailable
from core.features import speaker
from core.quality.mel import log_mel, timbre
from core.settings import Settings

LEAST_CLIPS = 8
LEAST_S = 1.5
"""Clips with less sound than this tell a network too little: their vectors scatter."""

_LONGEST_Z = 6.0  # one odd coefficient must not make an outlier
_MAD_TO_SIGMA = 1.4826
_LEAST_SPREAD = 0.15  # of the median distance: in a very even set nothing is an outlier for being a little less even


@dataclass(frozen=True)
class Embedder:
    """Which embedder a run uses, light enough to be sent to other processes. `path`: of the network, None for timbre.

    Vectors of embedders of another `name` cannot be compared.
    """

    name: str = "timbre"
    path: Path | None = None

    def __call__(self, audio16k: NDArray[np.float32]) -> NDArray[np.float32]:
        """The voice in a clip [N] at 16 kHz as a vector [D], the same D every time. Raises ModelFileError."""
        return timbre_of(audio16k) if self.path is None else speaker.open_network(self.path).embed(audio16k)


TIMBRE = Embedder()
CHOICES = ("auto", "network", "timbre")


def choose(asked: str, settings: Settings) -> Embedder:
    """The embedder of that name; "auto" takes the network where there is one.

    Raises BadInput (no such name), Unavailable (no network here), ModelFileError (it is damaged).
    """
    if asked not in CHOICES:
        raise BadInput(f"There is no speaker embedder {asked!r}.", f"Use one of {', '.join(CHOICES)}.", where="speaker")
    path = None if asked == "timbre" else speaker.find(settings)
    if path is not None:
        return Embedder(speaker.open_network(path).name, path)
    if asked == "network":
        raise Unavailable(
            "There is no speaker network on this machine.",
            "Import campplus.onnx (see `app.py models`), or use timbre.",
            where="speaker",
        )
    return TIMBRE


def timbre_of(audio16k: NDArray[np.float32]) -> NDArray[np.float32]:
    """Long-term average cepstra, [40]."""
    return timbre(log_mel(audio16k))


def outliers(vectors: Sequence[NDArray[np.float32]]) -> list[float | None]:
    """How far each timbre [D] is from the set, as a robust z-score (0: as far as most). None with fewer than eight.

    Every dimension is measured from its median in units of its median absolute deviation (Iglewicz and Hoaglin, "How
    to detect and handle outliers", 1993), and so is the root mean square of these again.
    """
    if len(vectors) < LEAST_CLIPS:
        return [None] * len(vectors)
    points = np.stack(vectors).astype(np.float64)
    spread = _MAD_TO_SIGMA * np.median(np.abs(points - np.median(points, axis=0)), axis=0)
    z = np.clip((points - np.median(points, axis=0)) / np.maximum(spread, 1e-6), -_LONGEST_Z, _LONGEST_Z)
    return _robust_z(np.sqrt(np.mean(np.square(z), axis=1)))


def strangers(vectors: Sequence[NDArray[np.float32]], active_s: Sequence[float]) -> list[float | None]:
    """The same for the unit vectors [D] of a network: one less the cosine to the set's median direction, as a robust
    z-score. None for clips with under 1.5 s of sound, and where fewer than eight are longer."""
    long = [i for i, seconds in enumerate(active_s) if seconds >= LEAST_S]
    found: list[float | None] = [None] * len(vectors)
    if len(long) < LEAST_CLIPS:
        return found
    points = np.stack([vectors[i] for i in long]).astype(np.float64)
    middle = np.median(points, axis=0)
    away = 1.0 - points @ middle / max(float(np.linalg.norm(middle)), 1e-9)
    for i, z in zip(long, _robust_z(away), strict=True):
        found[i] = z
    return found


def _robust_z(distance: NDArray[np.float64]) -> list[float | None]:
    middle = float(np.median(distance))
    scale = max(_MAD_TO_SIGMA * float(np.median(np.abs(distance - middle))), _LEAST_SPREAD * middle, 1e-6)
    return [float(value) for value in (distance - middle) / scale]


def pack(vector: NDArray[np.float32]) -> str:
    """A vector as text for a JSON line (float16, base64)."""
    return base64.b64encode(np.asarray(vector, "<f2").tobytes()).decode("ascii")


def unpack(text: str) -> NDArray[np.float32]:
    """The vector that `pack` wrote. Raises ValueError for other text."""
    return np.frombuffer(base64.b64decode(text, validate=True), "<f2").astype(np.float32)
