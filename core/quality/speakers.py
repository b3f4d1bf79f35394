"""Which clips do not sound like the rest of the set.

An embedder turns a clip into a vector; `outliers` finds vectors far from the middle of the set. Embedders are named
here and found lazily, so a package with a speaker network can be added as one line. The one that always works is
`timbre`: mean and spread of cepstra over the clip. It tells a man from a woman, a telephone from a microphone, music
from speech, a wrong file. It can not tell two similar voices apart, it hears another room, microphone or way of
speaking as another speaker, and when a set is half one voice and half another neither half is far from the middle.
"""

import base64
import importlib
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from core.errors import BadInput
from core.quality.mel import log_mel, timbre

Embedder = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""Audio [N] at 16 kHz -> a vector [D], the same D every time."""

EMBEDDERS: dict[str, str] = {"timbre": "core.quality.speakers:timbre_of"}
"""Name -> "module:function"."""

LEAST_CLIPS = 8
_LONGEST_Z = 6.0  # one odd coefficient must not make an outlier
_MAD_TO_SIGMA = 1.4826
_LEAST_SPREAD = 0.15  # of the median distance: in a very even set nothing is an outlier for being a little less even


def timbre_of(audio16k: NDArray[np.float32]) -> NDArray[np.float32]:
    """Long-term average cepstra, [40]."""
    return timbre(log_mel(audio16k))


def embedder(name: str) -> Embedder:
    """The embedder of that name. Raises BadInput."""
    if name not in EMBEDDERS:
        raise BadInput(
            f"There is no speaker embedder {name!r}.", f"Use one of {', '.join(EMBEDDERS)}.", where="speaker"
        )
    module, _, function = EMBEDDERS[name].partition(":")
    found: Embedder = getattr(importlib.import_module(module), function)
    return found


def outliers(vectors: Sequence[NDArray[np.float32]]) -> list[float | None]:
    """How far each vector [D] is from the set, as a robust z-score (0: as far as most).

    Every dimension is measured from its median in units of its median absolute deviation (Iglewicz and Hoaglin, "How
    to detect and handle outliers", 1993), and so is the root mean square of these again. None with fewer than eight.
    """
    if len(vectors) < LEAST_CLIPS:
        return [None] * len(vectors)
    points = np.stack(vectors).astype(np.float64)
    spread = _MAD_TO_SIGMA * np.median(np.abs(points - np.median(points, axis=0)), axis=0)
    z = np.clip((points - np.median(points, axis=0)) / np.maximum(spread, 1e-6), -_LONGEST_Z, _LONGEST_Z)
    distance = np.sqrt(np.mean(np.square(z), axis=1))
    middle = float(np.median(distance))
    scale = max(_MAD_TO_SIGMA * float(np.median(np.abs(distance - middle))), _LEAST_SPREAD * middle, 1e-6)
    return [float(value) for value in (distance - middle) / scale]


def pack(vector: NDArray[np.float32]) -> str:
    """A vector as text for a JSON line (float16, base64)."""
    return base64.b64encode(np.asarray(vector, "<f2").tobytes()).decode("ascii")


def unpack(text: str) -> NDArray[np.float32]:
    """The vector that `pack` wrote. Raises ValueError for other text."""
    return np.frombuffer(base64.b64decode(text, validate=True), "<f2").astype(np.float32)
