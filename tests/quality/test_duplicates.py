"""Alike prints of alike length are paired, and nothing else; the short way finds what comparing all would."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from core.quality import duplicates


def prints(n: int, seed: int) -> list[np.ndarray]:
    return list(np.random.default_rng(seed).integers(-127, 128, (n, 240)).astype(np.int8))


@given(st.integers(0, 40), st.integers(0, 2**31), st.floats(0.0, 0.4))
def test_finds_what_comparing_all_finds(n: int, seed: int, similarity: float) -> None:
    rng = np.random.default_rng(seed)
    points, lengths = prints(n, seed), rng.uniform(1.0, 3.0, n)
    wanted = set()
    for i in range(n):
        for j in range(i + 1, n):
            x, y = points[i].astype(np.float32), points[j].astype(np.float32)
            cosine = float(x @ y / (np.linalg.norm(x) * np.linalg.norm(y)))
            short, long = sorted((lengths[i], lengths[j]))
            if cosine > similarity + 1e-4 and long < short * 1.06 + 0.08 - 1e-9:
                wanted.add((i, j))
    found = {(i, j) for i, j, _ in duplicates.pairs(points, lengths.tolist(), similarity)}
    assert wanted <= found
    assert all(i < j for i, j in found)


def test_thousands_are_no_trouble() -> None:
    points = prints(3000, 1)
    points[2999] = points[17]
    lengths = list(np.random.default_rng(2).uniform(2.0, 12.0, 3000))
    lengths[2999] = lengths[17] + 0.05
    assert [(i, j) for i, j, _ in duplicates.pairs(points, lengths, 0.9)] == [(17, 2999)]


def test_length_and_silence() -> None:
    same = prints(1, 3)[0]
    assert duplicates.pairs([same, same], [2.0, 3.0], 0.9) == []
    silent = np.zeros(240, np.int8)
    assert duplicates.pairs([silent, silent], [0.0, 0.0], 0.9) == []
    assert duplicates.pairs([], [], 0.9) == []


def test_prints_survive_packing() -> None:
    point = prints(1, 4)[0]
    assert np.array_equal(duplicates.unpack(duplicates.pack(point)), point)
