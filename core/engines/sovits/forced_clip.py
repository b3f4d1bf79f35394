"""so-vits-svc's forced clips: a long passage cut at fixed lengths, with an overlap before each piece."""

import numpy as np
from numpy.typing import NDArray


def fixed_pieces(n_samples: int, size: int, overlap: int = 0) -> list[tuple[int, int]]:
    """(start, end) of pieces that cover [0, n_samples): `size` new samples each, after `overlap` of those before."""
    return [(max(0, start - overlap), min(n_samples, start + size)) for start in range(0, n_samples, size)]


def centre_pad(x: NDArray[np.float32], n_samples: int) -> NDArray[np.float32]:
    """Zeros on both sides of x [N] up to n_samples, one more on the right where the number is odd. Never cuts."""
    missing = max(0, n_samples - x.size)
    return np.pad(x, (missing // 2, missing - missing // 2))
