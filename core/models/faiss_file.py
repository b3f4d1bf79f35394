"""Vectors out of faiss indexes, without faiss: `feature_and_index.pkl` of so-vits-svc and files of `write_index`.

The pickle is read as data (`core.models.restricted_pickle`): each index in it is one string of bytes in faiss's own
binary form, of which flat and inverted-file flat indexes are read here (the only ones that so-vits-svc makes). Layout,
little endian: four letters, d int32, ntotal int64, 16 unused bytes, trained uint8, metric int32; "IwFl" goes on with
the number of lists and of lists probed (int64), its quantizer (an index), a direct map, and the lists with their
vectors and row numbers; "IxF2" with the vectors.
"""

import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.errors import ModelFileError
from core.models.restricted_pickle import Inert, Reader, Refused, finished

_CLASSES = ("IndexIVFFlat", "IndexFlatL2", "IndexFlat")
_MODULES = ("swigfaiss", "swigfaiss_avx2", "swigfaiss_avx512", "swigfaiss_avx512_spr", "swigfaiss_sve")
_NAMES = [f"faiss.{module}.{name}" for module in _MODULES for name in _CLASSES]
_FLAT = (b"IxF2", b"IxFl")
_L2 = 1


def read_banks(path: Path) -> dict[str, NDArray[np.float32]]:
    """Vectors [N, C] by key (upstream: the speaker's id), in the order in which they were added.

    A file of a single index has the key "0".

    Raises:
        ModelFileError: the file is damaged, holds code, or an index of a kind that keeps no vectors.
    """
    try:
        data = path.read_bytes()
        if data[:4] in (b"IwFl", b"IxF2", b"IxFI", b"IxFl"):
            return {"0": _Parser(data).index()}
        found = Reader(_no_storage, {name: _inert(name) for name in _NAMES}).read(data)
    except Refused as err:
        raise ModelFileError(
            f"{path.name} holds more than an index: it asks to run code while loading ({err}), and was refused.",
            "Do not use it unless you trust its maker; make the index again from the training clips.",
            where=str(path),
        ) from err
    # The file decides which error its reading raises; none may reach a user as it is.
    except Exception as err:
        raise ModelFileError(
            f"{path.name} is no retrieval index of so-vits-svc, or a damaged one ({_short(err)}).",
            "Choose feature_and_index.pkl, or make the index again from the training clips.",
            where=str(path),
        ) from err
    indexes = found if isinstance(found, dict) else {"0": found}
    try:
        banks = {str(key): _Parser(_bytes_of(value)).index() for key, value in indexes.items()}
    except (ValueError, struct.error, IndexError, OverflowError, MemoryError) as err:
        raise ModelFileError(
            f"{path.name} holds an index that cannot be read: {_short(err)}.",
            "Make the index again from the training clips.",
            where=str(path),
        ) from err
    if not banks:
        raise ModelFileError(f"{path.name} holds no index.", "Choose feature_and_index.pkl.", where=str(path))
    return banks


def _short(err: Exception) -> str:
    return (str(err).strip().splitlines() or [type(err).__name__])[0][:200]


def _inert(name: str) -> Any:
    return lambda *arguments: Inert(name, arguments)


def _no_storage(_identity: Any) -> Any:
    raise Refused("data kept outside the file")


def _bytes_of(value: Any) -> bytes:
    """The binary form inside a pickled index."""
    state = value.state if isinstance(value, Inert) else None
    inner = finished(state.get("this")) if isinstance(state, dict) else None
    if isinstance(inner, np.ndarray):
        inner = inner.tobytes()
    if not isinstance(inner, bytes):
        raise ValueError("it is not an index of faiss")
    return inner


class _Parser:
    """Reads one index from bytes; raises ValueError or struct.error where they are none."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def index(self) -> NDArray[np.float32]:
        """Vectors [N, C]."""
        kind = self._take(4)
        if kind in _FLAT:
            return self._flat()
        if kind != b"IwFl":
            raise ValueError(f"it is of the kind {kind!r}, which keeps no vectors as they were")
        width, total = self._header()
        n_lists, _probed = self._number("q"), self._number("q")
        if self._take(4) not in _FLAT:
            raise ValueError("its quantizer is of an unknown kind")
        self._flat()
        self._take(1)
        self._take(8 * self._count(8))  # the direct map
        return self._lists(n_lists, width, total)

    def _flat(self) -> NDArray[np.float32]:
        width, total = self._header()
        return self._floats(self._number("q")).reshape(total, width).copy()

    def _header(self) -> tuple[int, int]:
        width, total = self._number("i"), self._number("q")
        self._take(16)
        _trained, metric = self._number("B"), self._number("i")
        if metric != _L2:
            raise ValueError("it measures by another distance than so-vits-svc")
        if not 0 < width <= 65536 or not 0 <= total * width * 4 <= len(self._data):
            raise ValueError("its sizes make no sense")
        return width, total

    def _lists(self, n_lists: int, width: int, total: int) -> NDArray[np.float32]:
        if self._take(4) != b"ilar":
            raise ValueError("its lists lie in another file")
        stored, code_size = self._number("q"), self._number("q")
        form = self._take(4)
        values = np.frombuffer(self._take(8 * self._count(8)), "<i8")
        if form == b"full":
            sizes = [int(n) for n in values]
        elif form == b"sprs":
            sizes = [int(n) for n in values[1::2]]
        else:
            raise ValueError("its lists are of an unknown form")
        if stored != n_lists or code_size != 4 * width or sum(sizes) != total:
            raise ValueError("its lists do not add up")
        bank = np.zeros((total, width), "<f4")
        for size in sizes:
            if size:
                vectors = self._floats(size * width).reshape(size, width)
                rows = np.frombuffer(self._take(8 * size), "<i8")
                if rows.min() < 0 or rows.max() >= total:
                    raise ValueError("its row numbers make no sense")
                bank[rows] = vectors
        return bank

    def _count(self, unit: int) -> int:
        count = self._number("q")
        if not 0 <= count * unit <= len(self._data):
            raise ValueError("a length makes no sense")
        return count

    def _number(self, form: str) -> int:
        return int(struct.unpack("<" + form, self._take(struct.calcsize("<" + form)))[0])

    def _floats(self, count: int) -> NDArray[np.float32]:
        if not 0 <= 4 * count <= len(self._data):
            raise ValueError("a length makes no sense")
        return np.frombuffer(self._take(4 * count), "<f4")

    def _take(self, count: int) -> bytes:
        part = self._data[self._at : self._at + count]
        if len(part) != count:
            raise ValueError("it is cut short")
        self._at += count
        return part
