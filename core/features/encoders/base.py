"""The interface of every content encoder: speech in, units out.

Shapes: N samples at 16 kHz, T frames, C channels of one unit.
"""

from abc import ABC, abstractmethod

import torch


class ContentEncoder(ABC):
    """Turns 16 kHz mono speech into content features ("units").

    Attributes:
        name: registry name, for example ``builtin``.
        dim: C, the channels of one unit.
        rate_hz: units per second.
        sample_rate_hz: the rate that ``encode`` expects.
        fingerprint: short stable hash of the weights; two encoders with the same
            fingerprint give the same units, so it keys the feature cache and is
            written into every voice model.
    """

    name: str
    dim: int
    rate_hz: float = 50.0
    sample_rate_hz: int = 16000
    fingerprint: str

    @abstractmethod
    def encode(self, wav16k: torch.Tensor) -> torch.Tensor:
        """Encode one utterance.

        Args:
            wav16k: [N] float mono samples at ``sample_rate_hz``, about -1..1.

        Returns:
            [T, C] float32 units on the CPU, about ``rate_hz`` frames a second.
        """
