"""Pitch tracks as files: what goes in comes out, so-vits-svc's are read, hostile ones are refused."""

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from core.engines.sovits.pitch_track import HOP_S, Track, read_track, write_track
from core.errors import BadInput

F0 = st.one_of(st.just(0.0), st.floats(50, 1100, width=32))


@given(f0=arrays(np.float32, st.integers(1, 60), elements=F0))
def test_what_is_written_is_read(f0: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("t") / "a.npy"
    write_track(path, f0)
    assert np.array_equal(read_track(path).f0, f0)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("protocol", ["pair", "ragged"])
def test_upstreams_files_are_read(tmp_path: Path, kind: type, protocol: str) -> None:
    f0, voiced = np.linspace(100, 200, 7).astype(kind), np.array([1, 1, 0, 0, 1, 1, 1], kind)
    if protocol == "pair":
        pair = np.asanyarray((f0, voiced), dtype=object)  # 4.1 writes it so: [2, T] of Python numbers
    else:
        pair = np.empty(2, object)
        pair[0], pair[1] = f0, voiced
    np.save(tmp_path / "a.wav.f0.npy", pair, allow_pickle=True)
    assert read_track(tmp_path / "a.wav.f0.npy").f0 == pytest.approx(np.where(voiced > 0, f0, 0), rel=1e-6)


def test_reading_runs_nothing(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple:
            return (os.mkdir, (str(tmp_path / "ran"),))

    np.save(tmp_path / "x.npy", np.array([Evil(), Evil()], dtype=object), allow_pickle=True)
    with pytest.raises(BadInput, match="refused"):
        read_track(tmp_path / "x.npy")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (np.zeros((2, 3)), "one row"),
        (np.zeros(0), "one row"),
        (np.array([100.0, np.nan]), "no numbers"),
        (np.array([-1.0]), "negative"),
        (np.array([9000.0]), "no voice's"),
        (np.array(["a"]), "one row"),
    ],
)
def test_what_is_no_track_is_refused(values: np.ndarray, words: str, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", values)
    with pytest.raises(BadInput, match=words):
        read_track(tmp_path / "x.npy")


@given(data=st.binary(max_size=200))
def test_any_bytes_are_a_track_or_bad_input(data: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("t") / "a.npy"
    for content in (data, b"\x93NUMPY\x01\x00" + data, _object_file(data)):
        path.write_bytes(content)
        with pytest.raises(BadInput):
            read_track(path)


def _object_file(data: bytes) -> bytes:
    header = b"{'descr': '|O', 'fortran_order': False, 'shape': (2,), }\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + data + b"\x80\x04K\x03."


def test_times_are_read_between_frames_and_silence_outside() -> None:
    track = Track(np.array([100, 100, 0, 200], np.float32))
    at = (np.arange(4) + 0.5) * HOP_S
    assert track.at(at) == pytest.approx(track.f0)
    assert track.at(at[:1] + 0.4 * HOP_S) == pytest.approx(100)
    assert track.at(np.array([-0.1, 99.0])).tolist() == [0, 0]
    assert track.at(at + 0.1 * HOP_S)[2] == 0  # no pitch between voiced and unvoiced
