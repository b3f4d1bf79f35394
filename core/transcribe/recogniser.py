"""What every speech recogniser offers to the rest of the studio."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from core.transcribe.models import find
from core.transcribe.options import TranscribeOptions
from core.transcribe.words import Word

if TYPE_CHECKING:
    from core.settings import Settings


class Recogniser(ABC):
    """Loaded weights.

    Attributes:
        name: of the model.
        language: two letters; None until it is known. Set it to skip finding it out.
        language_probability: how sure the recogniser is of it; 1 where it was given, 0 until it is known.
        device: "cpu" or "cuda:N".
        warnings: what a person should know about how it runs.
    """

    name: str
    language: str | None
    language_probability: float
    device: str
    warnings: list[str]

    @abstractmethod
    def words(self, audio: NDArray[np.float32], check: Callable[[], None]) -> Iterator[Word]:
        """Words in `audio` [n], 16 kHz mono, with times from its start, in order, as they are found.

        `check` is called between pieces of work; what it raises ends the recognition.
        """

    def spoken(self, audio: NDArray[np.float32]) -> tuple[str, float] | None:
        """(language of two letters, how sure 0..1) of `audio` [n], 16 kHz mono; None for one that tells no languages
        apart."""
        return None


def open_recogniser(settings: "Settings", options: TranscribeOptions) -> Recogniser:
    """Load the model that the options ask for.

    Raises Unavailable (not here, package missing, GPU without its libraries), ModelFileError (damaged), BadInput
    (a language that the model does not know).
    """
    model = find(settings, options.engine, options.model, options.language)
    if options.engine == "parakeet":
        from core.transcribe.parakeet import Parakeet

        return Parakeet(model, settings, options)
    from core.transcribe.whisper import Whisper

    return Whisper(model, settings, options)
