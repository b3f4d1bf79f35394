"""Loudness contour: one RMS value a frame."""

import numpy as np
from numpy.typing import NDArray


def volume(wav: NDArray[np.float32], hop: int = 512, centred: bool = True) -> NDArray[np.float32]:
    """RMS per frame by the formula of so-vits-svc 4.1-Stable, or of 4.1-Latest.

    Stable pads the squared signal by half a hop by reflection, so that frame i is centred on sample
    i * hop. Latest dropped the padding; its frames lie half a hop later.

    Args:
        wav: [N] mono, -1..1.
        hop: samples per frame.
        centred: Stable's way; False: Latest's.

    Returns:
        [N // hop] float32, 0..1.
    """
    n_frames = wav.size // hop
    if n_frames == 0:
        return np.zeros(0, np.float32)
    power = np.square(wav, dtype=np.float64)
    if centred:
        power = np.pad(power, (hop // 2, (hop + 1) // 2), mode="reflect")
    frames = power[: n_frames * hop].reshape(n_frames, hop)
    return np.sqrt(frames.mean(axis=1)).astype(np.float32)
