"""Spectrograms as small pictures, without a plotting library."""

import numpy as np
from numpy.typing import NDArray

_ANCHORS = np.array(
    [
        (0, 0, 4),
        (40, 11, 84),
        (101, 21, 110),
        (159, 42, 99),
        (212, 72, 66),
        (245, 125, 21),
        (250, 193, 39),
        (252, 255, 164),
    ],
    dtype=np.float64,
)
"""Colours from dark to light with steadily rising lightness; between them the map is linear."""
FLOOR_DB = -80.0


def colour_map(n_colours: int = 256) -> NDArray[np.uint8]:
    """[n_colours, 3] from black over purple and orange to pale yellow."""
    at = np.linspace(0, len(_ANCHORS) - 1, n_colours)
    channels = [np.interp(at, np.arange(len(_ANCHORS)), _ANCHORS[:, c]) for c in range(3)]
    return np.round(np.stack(channels, axis=1)).astype(np.uint8)


def spectrogram_picture(
    log_mel: NDArray[np.floating], ceiling: float | None = None, scale: int = 2
) -> NDArray[np.uint8]:
    """Draw a log-mel spectrogram, low frequencies at the bottom.

    Args:
        log_mel: [n_mels, T], natural logarithm of magnitude.
        ceiling: value drawn brightest (natural log); None: the largest value. `FLOOR_DB` below it is black.
        scale: pixels a mel band.

    Returns:
        [n_mels * scale, T, 3].
    """
    top = float(log_mel.max()) if ceiling is None else ceiling
    bottom = top + FLOOR_DB / 20.0 * np.log(10.0)
    level = np.clip((np.nan_to_num(log_mel, nan=bottom) - bottom) / (top - bottom), 0.0, 1.0)
    indices = np.round(level[::-1] * 255).astype(np.uint8)
    return colour_map()[np.repeat(indices, scale, axis=0)]


def stack_pictures(upper: NDArray[np.uint8], lower: NDArray[np.uint8], gap: int = 4) -> NDArray[np.uint8]:
    """One above the other with a white line between; the narrower one is filled up with black at its right."""
    width = max(upper.shape[1], lower.shape[1])

    def fill(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return np.pad(picture, ((0, 0), (0, width - picture.shape[1]), (0, 0)))

    line = np.full((gap, width, 3), 255, np.uint8)
    return np.concatenate([fill(upper), line, fill(lower)], axis=0)
