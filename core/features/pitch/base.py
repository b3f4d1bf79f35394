"""The interface of every pitch predictor: samples in, one f0 value a frame out."""

from abc import ABC, abstractmethod
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from core.audio.resample import resample
from core.errors import BadInput
from core.features import F0_MAX_HZ, F0_MIN_HZ

ANALYSIS_HZ = 16000  # every predictor listens at this rate, so that the source's rate does not matter


class PitchPredictor(ABC):
    """Finds the fundamental of mono speech or singing.

    Frame i of a track is the pitch in the middle of its hop, at ``(i + 0.5) * hop_samples / rate_hz``:
    the generator holds a value over the whole hop, and its spectrogram frames are centred there too.

    Attributes:
        name: registry name, for example ``fcpe``.
        check: called now and then during long work; what it raises ends the work (a job's ``ctx.check``).
    """

    name: str
    check: Callable[[], None] | None = None

    def __init__(self, f0_min_hz: float = F0_MIN_HZ, f0_max_hz: float = F0_MAX_HZ) -> None:
        """Limit the search; the defaults are the range that the generator was made for."""
        self.f0_min_hz = f0_min_hz
        self.f0_max_hz = f0_max_hz

    def predict(self, wav: NDArray[np.float32], rate_hz: int, hop_samples: int, n_frames: int) -> NDArray[np.float32]:
        """Track the pitch of one piece of audio.

        Args:
            wav: [N] mono, about -1..1; may be empty or shorter than a frame.
            rate_hz: sample rate of ``wav``.
            hop_samples: distance of frames in samples at ``rate_hz``.
            n_frames: T, the frames wanted; times beyond the audio are unvoiced.

        Returns:
            [T] float32 Hz, 0 where unvoiced, else ``f0_min_hz``..``f0_max_hz``.

        Raises:
            BadInput: audio that is not one-dimensional or not finite.
        """
        if wav.ndim != 1:
            raise BadInput(f"Pitch wants mono audio [N], got shape {wav.shape}.")
        if not np.isfinite(wav).all():
            raise BadInput("The audio holds values that are not numbers.", "Decode the file again.")
        f0 = np.zeros(n_frames, np.float32)
        if n_frames == 0 or not wav.any():
            return f0
        audio = resample(wav, rate_hz, ANALYSIS_HZ)
        audio = audio / max(1.0, float(np.abs(audio).max(initial=0.0)))  # after resampling, which overshoots
        at_s = (np.arange(n_frames) + 0.5) * hop_samples / rate_hz
        inside = at_s < wav.size / rate_hz
        if audio.size and inside.any():
            f0[inside] = self._track(audio, at_s[inside])
        f0[~np.isfinite(f0) | (f0 < self.f0_min_hz)] = 0.0
        return np.minimum(f0, np.float32(self.f0_max_hz))

    def _pause(self) -> None:
        if self.check is not None:
            self.check()

    @abstractmethod
    def _track(self, wav16k: NDArray[np.float32], at_s: NDArray[np.float64]) -> NDArray[np.float32]:
        """Return f0 [T] at the times ``at_s`` [T] of ``wav16k`` [N], N >= 1, T >= 1."""
