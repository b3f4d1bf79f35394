"""What an engine hands out: pieces of sound while they are made, and the whole of it.

Sound is mono float32 `[n]`, full scale 1.0.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Chunk:
    """A piece of streamed speech.

    Attributes:
        audio: `[n]`; may be empty on the final chunk.
        sample_rate_hz: of `audio`, the same for all chunks of a request.
        index: 0, 1, … within the request.
        sentence: number of the sentence that it belongs to, from 0.
        text: that sentence's words, as they were given to the model.
        final: True on the last chunk of the request, and only there.
    """

    audio: NDArray[np.float32]
    sample_rate_hz: int
    index: int
    sentence: int
    text: str
    final: bool = False


@dataclass(frozen=True)
class Speech:
    """A finished request.

    Attributes:
        audio: `[n]`, what its chunks add up to.
        sample_rate_hz: of `audio`.
        seed: the number that makes the same speech again.
        sentences: what was said, one string each.
        warnings: sentences for a person about what may sound wrong.
    """

    audio: NDArray[np.float32]
    sample_rate_hz: int
    seed: int
    sentences: tuple[str, ...] = ()
    warnings: tuple[str, ...] = field(default=())

    @property
    def duration_s(self) -> float:
        """Length of the sound in seconds."""
        return self.audio.size / self.sample_rate_hz


def joined(chunks: Iterable[Chunk]) -> NDArray[np.float32]:
    """The sound of all chunks, one after another `[n]`."""
    parts = [chunk.audio for chunk in chunks]
    return np.concatenate(parts) if parts else np.zeros(0, np.float32)
