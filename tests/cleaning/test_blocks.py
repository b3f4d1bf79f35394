"""Streams keep every sample, once and in order, and files are whole or not there."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.audio.decode import load, probe
from core.cleaning.blocks import exactly, overlapped, write_blocks
from core.errors import BadInput


def cut(x: np.ndarray, sizes: list[int]) -> Iterator[np.ndarray]:
    at = 0
    for size in sizes:
        yield x[at : at + size]
        at += size
    yield x[at:]


@given(st.integers(0, 3000), st.lists(st.integers(0, 700), max_size=6), st.integers(50, 500), st.integers(0, 40))
def test_overlapping_changes_nothing_by_itself(n: int, sizes: list[int], block: int, overlap: int) -> None:
    x = np.random.default_rng(n).standard_normal(n).astype(np.float32)
    parts = list(overlapped(cut(x, sizes), lambda piece: piece, block, overlap))
    joined = np.concatenate(parts) if parts else np.zeros(0, np.float32)
    assert np.allclose(joined, x, atol=1e-6)


def test_pieces_that_differ_are_faded_not_clicked() -> None:
    pieces = iter([0.0, 1.0, 0.0, 1.0, 0.0])
    joined = np.concatenate(
        list(overlapped([np.zeros(2000, np.float32)], lambda x: np.full_like(x, next(pieces)), 500, 100))
    )
    assert joined.size == 2000
    assert np.abs(np.diff(joined)).max() < 0.03


@given(st.integers(0, 500), st.lists(st.integers(0, 200), max_size=5), st.integers(0, 60), st.integers(0, 80))
def test_late_streams_come_back_in_time(n: int, sizes: list[int], delay: int, extra: int) -> None:
    x = np.arange(1, n + 1, dtype=np.float32)
    late = np.concatenate([np.zeros(delay, np.float32), x, np.zeros(extra, np.float32)])
    before_end = [size for size in sizes if size]
    while sum(before_end) > n:  # what is too much lies in the last block, as the denoiser sees to
        before_end.pop()
    parts = list(exactly(cut(late, before_end), lambda: n, delay))
    joined = np.concatenate(parts) if parts else np.zeros(0, np.float32)
    assert np.array_equal(joined, x)


@pytest.mark.parametrize("fmt", ["flac", "wav"])
def test_files_hold_24_bits(tmp_path: Path, fmt: str) -> None:
    x = np.random.default_rng(0).uniform(-1, 1, 5000).astype(np.float32)
    path = tmp_path / f"x.{fmt}"
    assert write_blocks(path, cut(x, [100, 2000]), 22050, fmt) == 5000
    assert probe(path).rate_hz == 22050
    assert np.abs(load(path) - x).max() < 2**-22


def test_a_wav_that_may_pass_4_gb_is_written_as_rf64(tmp_path: Path) -> None:
    for expected, magic in ((0.0, b"RIFF"), (2e9, b"RF64")):
        write_blocks(tmp_path / "x.wav", [np.zeros(100, np.float32)], 16000, "wav", expected)
        assert (tmp_path / "x.wav").read_bytes()[:4] == magic
        assert load(tmp_path / "x.wav").size == 100


def test_a_stream_that_breaks_leaves_no_file(tmp_path: Path) -> None:
    def breaks() -> Iterator[np.ndarray]:
        yield np.zeros(10, np.float32)
        raise BadInput("no more")

    for blocks in (breaks(), iter(())):
        with pytest.raises(BadInput):
            write_blocks(tmp_path / "x.flac", blocks, 16000, "flac")
    assert list(tmp_path.iterdir()) == []
