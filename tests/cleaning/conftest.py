"""Speech to spoil and to clean."""

import numpy as np
import pytest

from core.audio.resample import resample
from core.audio.synthetic import WOMAN, recording


@pytest.fixture(scope="session")
def voice() -> np.ndarray:
    """Five seconds of clean speech at 16 kHz, peaks at about 0.3."""
    audio, rate_hz = recording(5.0, WOMAN)
    return 0.4 * resample(audio, rate_hz, 16000)
