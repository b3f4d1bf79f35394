"""Clips that hold the same take twice, at whatever level, with whatever silence around it."""

import base64
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_LENGTH_SLACK = 0.06  # takes whose active stretches differ by more are not compared
_LENGTH_SLACK_S = 0.08
_BLOCK = 512


def pack(fingerprint: NDArray[np.int8]) -> str:
    """A fingerprint as text for a JSON line."""
    return base64.b64encode(fingerprint.tobytes()).decode("ascii")


def unpack(text: str) -> NDArray[np.int8]:
    """The fingerprint that `pack` wrote. Raises ValueError for other text."""
    return np.frombuffer(base64.b64decode(text, validate=True), np.int8)


def pairs(
    fingerprints: Sequence[NDArray[np.int8]], active_s: Sequence[float], similarity: float
) -> list[tuple[int, int, float]]:
    """(i, j, cosine) with i < j of every pair at least as alike as `similarity`, for prints [D] of n clips.

    Only takes of nearly equal length are compared, so the cost grows with how many of those there are, not with n
    squared. Silent clips (all zeros) equal nothing.
    """
    if not fingerprints:
        return []
    points = np.stack(fingerprints).astype(np.float32)
    norms = np.linalg.norm(points, axis=1, keepdims=True)
    points = points / np.maximum(norms, 1e-9)
    lengths = np.asarray(active_s, np.float64)
    order = np.argsort(lengths, kind="stable")
    ends = np.searchsorted(lengths[order], lengths[order] * (1 + _LENGTH_SLACK) + _LENGTH_SLACK_S, "right")
    found: list[tuple[int, int, float]] = []
    for start in range(0, order.size, _BLOCK):
        rows = order[start : start + _BLOCK]
        columns = order[start : int(ends[min(start + _BLOCK, order.size) - 1])]
        cosine = points[rows] @ points[columns].T
        for row, column in np.argwhere(cosine >= similarity):
            place, other = start + int(row), start + int(column)
            if place < other < int(ends[place]):
                first, second = sorted((int(order[place]), int(order[other])))
                found.append((first, second, float(cosine[row, column])))
    return sorted(found)
