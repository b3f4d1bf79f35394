"""faiss indexes read without faiss: real ones give their vectors back, hostile and broken ones our error."""

import contextlib
import struct
from multiprocessing.reduction import ForkingPickler
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import ModelFileError
from core.models.faiss_file import read_banks

VECTORS = np.random.default_rng(1).normal(size=(300, 6)).astype(np.float32)


def ivf(lists: int = 5, n: int = 300) -> bytes:
    """An inverted-file index, written down by the layout: vectors dealt to lists in turn."""

    def header(kind: bytes, total: int) -> bytes:
        return kind + struct.pack("<iqqqBi", 6, total, 1 << 20, 1 << 20, 1, 1)

    rows = [list(range(i, n, lists)) for i in range(lists)]
    quantizer = header(b"IxF2", lists) + struct.pack("<q", 6 * lists) + VECTORS[:lists].tobytes()
    out = header(b"IwFl", n) + struct.pack("<qq", lists, 1) + quantizer + struct.pack("<Bq", 0, 0)
    out += b"ilar" + struct.pack("<qq", lists, 24) + b"full" + struct.pack("<q", lists)
    out += struct.pack(f"<{lists}q", *map(len, rows))
    for part in rows:
        out += VECTORS[part].tobytes() + np.asarray(part, "<i8").tobytes()
    return out


def test_a_file_by_the_layout(tmp_path: Path) -> None:
    (tmp_path / "a.index").write_bytes(ivf())
    np.testing.assert_array_equal(read_banks(tmp_path / "a.index")["0"], VECTORS)


def test_real_pickles_and_files_of_faiss(tmp_path: Path) -> None:
    faiss = pytest.importorskip("faiss")
    index = faiss.index_factory(6, "IVF7,Flat")
    index.train(VECTORS)
    index.add(VECTORS)
    few = faiss.index_factory(6, "IVF7,Flat")
    few.train(VECTORS)
    few.add(VECTORS[:2])  # most lists are empty: the sparse form
    path = tmp_path / "feature_and_index.pkl"
    path.write_bytes(bytes(ForkingPickler.dumps({0: index, 3: few})))
    banks = read_banks(path)
    assert list(banks) == ["0", "3"]
    np.testing.assert_array_equal(banks["0"], VECTORS)
    np.testing.assert_array_equal(banks["3"], VECTORS[:2])
    faiss.write_index(index, str(tmp_path / "Index-0.index"))
    np.testing.assert_array_equal(read_banks(tmp_path / "Index-0.index")["0"], VECTORS)


def test_indexes_without_vectors_are_refused(tmp_path: Path) -> None:
    faiss = pytest.importorskip("faiss")
    packed = faiss.index_factory(6, "IVF7,PQ2x4")
    packed.train(VECTORS)
    path = tmp_path / "x.pkl"
    path.write_bytes(bytes(ForkingPickler.dumps({0: packed})))
    with pytest.raises(ModelFileError, match="refused"):
        read_banks(path)
    flat = faiss.IndexFlatIP(6)
    faiss.write_index(flat, str(path))
    with pytest.raises(ModelFileError):
        read_banks(path)


class _Hostile:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[str]]:
        import os

        return os.mkdir, (str(self.mark),)


def test_a_pickle_with_code_is_refused_and_does_not_run(tmp_path: Path) -> None:
    path = tmp_path / "feature_and_index.pkl"
    path.write_bytes(bytes(ForkingPickler.dumps({0: _Hostile(tmp_path / "mark")})))
    with pytest.raises(ModelFileError, match="run code"):
        read_banks(path)
    assert not (tmp_path / "mark").exists()


@settings(max_examples=60)
@given(place=st.integers(0, 600), value=st.integers(0, 255), cut=st.integers(0, 8000))
def test_damage_gives_vectors_or_our_error(
    place: int, value: int, cut: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    data = bytearray(ivf())
    data[place] = value
    path = tmp_path_factory.mktemp("index") / "a.index"
    path.write_bytes(bytes(data[: len(data) - cut]))
    with contextlib.suppress(ModelFileError):
        assert read_banks(path)["0"].shape == VECTORS.shape


@pytest.mark.parametrize("data", [b"", b"IwFl", b"\x80\x04}.", b"\x80\x04K\x01."])
def test_what_holds_no_index_is_said(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "x.pkl").write_bytes(data)
    with pytest.raises(ModelFileError):
        read_banks(tmp_path / "x.pkl")
