"""Short spoken takes that the quality tests share."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.signal import fftconvolve

from core.audio.encode import write_audio
from core.audio.resample import resample
from core.audio.synthetic import MAN, SENTENCES, WOMAN, Speaker, speak

Say = Callable[..., np.ndarray]


@pytest.fixture(scope="session")
def say() -> Say:
    """`say(index, speaker=WOMAN, rate_hz=16000)` -> a spoken sentence [N]."""
    kept: dict[tuple[int, Speaker, int], np.ndarray] = {}

    def spoken(index: int, speaker: Speaker = WOMAN, rate_hz: int = 16000) -> np.ndarray:
        key = (index, speaker, rate_hz)
        if key not in kept:
            audio, rate = speak(SENTENCES[index], speaker)
            kept[key] = resample(0.7 * audio, rate, rate_hz)
        return kept[key]

    return spoken


def in_room(audio: np.ndarray, rt60_s: float, rate_hz: int = 16000) -> np.ndarray:
    """`audio` in a made-up room: noise that falls by 60 dB in `rt60_s`, as loud as the direct sound."""
    n = int(1.2 * rt60_s * rate_hz)
    response = np.random.default_rng(0).standard_normal(n) * 10 ** (-3 * np.arange(n) / rate_hz / rt60_s)
    response /= np.sqrt(np.sum(response**2))
    response[0] += 1.0
    return (0.5 * fftconvolve(audio, response)[: audio.size]).astype(np.float32)


@pytest.fixture(scope="session")
def takes(tmp_path_factory: pytest.TempPathFactory, say: Say) -> Path:
    """A folder with nine takes of a woman, one of a man, a copy of the first one and an upsampled telephone."""
    folder = tmp_path_factory.mktemp("takes")
    for index in range(9):
        write_audio(folder / f"w{index}.wav", say(index), 16000)
    write_audio(folder / "man.wav", say(9, MAN), 16000)
    copy = np.concatenate([np.zeros(4000, np.float32), 0.3 * say(0), np.zeros(9000, np.float32)])
    write_audio(folder / "copy.mp3", copy + 1e-4 * np.random.default_rng(0).standard_normal(copy.size), 16000)
    write_audio(folder / "phone.wav", resample(resample(say(10), 16000, 8000), 8000, 44100), 44100)
    return folder
