"""Where speech is heard in a minute of a recording, for drawing below its waveform."""

from pathlib import Path

import numpy as np

BLOCK_S = 60.0
_RUN_UP_S = 0.96  # 30 frames for the detector to hear what goes on at the start of the minute


def speech_block(path: Path, index: int, cache: Path) -> bytes:
    """Probabilities of speech in the minute `index` (from 0) of a file: uint8, one per 32 ms, 255 is sure.

    Kept in `cache` for this version of the file. Raises BadInput, Unavailable (no detector).
    """
    from core.audio.excerpt import excerpt, kept_block
    from core.audio.resample import resample
    from core.cutting.speech import FRAME_S, RATE_HZ, one_thread_each, probabilities

    def heard() -> bytes:
        start_s = max(0.0, index * BLOCK_S - _RUN_UP_S)
        audio, rate_hz = excerpt(path, start_s, (index + 1) * BLOCK_S)
        with one_thread_each():
            found = probabilities([resample(audio, rate_hz, RATE_HZ)])[0]
        return np.round(255.0 * found[round((index * BLOCK_S - start_s) / FRAME_S) :]).astype(np.uint8).tobytes()

    return kept_block(path, index, cache, "vad", heard)
