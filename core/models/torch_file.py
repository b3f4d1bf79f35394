"""`.pth` and `.pt` files through the restricted pickle reader: the zip form of torch, and the one before 1.6.

Only for files that torch's weights-only reader refuses (`core.models.safe_load` decides). Tensors lie on the CPU.
"""

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import torch

from core.models.restricted_pickle import Name, Reader, Refused, finished

_MAGIC = 0x1950A86A20F9469CFC6C
_DTYPES = {
    "FloatStorage": torch.float32,
    "DoubleStorage": torch.float64,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}


def read(path: Path) -> Any:
    """The nested data of a file. Raises Refused for what is not data, ValueError and others for a broken file."""
    if zipfile.is_zipfile(path):
        return _read_zip(path)
    with path.open("rb") as file:
        return _read_legacy(file, path.stat().st_size)


def _read_zip(path: Path) -> Any:
    with zipfile.ZipFile(path) as archive:
        pickles = [name for name in archive.namelist() if name.endswith("data.pkl")]
        if len(pickles) != 1:
            raise ValueError("no data.pkl inside")
        folder = pickles[0].removesuffix("data.pkl")
        found: dict[str, torch.Tensor] = {}

        def storage(identity: Any) -> torch.Tensor:
            kind, dtype, key, _place, count = _identity(identity)
            if key not in found:
                data = bytearray(archive.read(f"{folder}data/{key}"))
                if len(data) < count * dtype.itemsize or kind != "storage":
                    raise ValueError("a storage is cut short")
                found[key] = _from_bytes(data, dtype, count)
            return found[key]

        return finished(Reader(storage, _constructors()).read(archive.read(pickles[0])))


def _read_legacy(file: IO[bytes], size: int) -> Any:
    """Magic number, version, system, the pickle, the order of the storages, and their bytes."""
    found: dict[str, torch.Tensor] = {}

    def storage(identity: Any) -> torch.Tensor:
        kind, dtype, key, _place, count = _identity(identity)
        if kind != "storage" or count * dtype.itemsize > size:
            raise ValueError("a storage is larger than the file")
        if key not in found:
            found[key] = torch.zeros(count, dtype=dtype)
        return found[key]

    def plain() -> Any:
        return Reader(storage, {}).read(file)

    if plain() != _MAGIC:
        raise ValueError("not a torch file")
    plain(), plain()
    value = Reader(storage, _constructors()).read(file)
    for key in plain():
        count = int.from_bytes(file.read(8), "little")
        target = found[str(key)]
        data = bytearray(file.read(count * target.element_size()))
        if count != target.numel() or len(data) != count * target.element_size():
            raise ValueError("a storage is cut short")
        target.copy_(_from_bytes(data, target.dtype, count))
    return finished(value)


def _identity(identity: Any) -> tuple[str, torch.dtype, str, Any, int]:
    """(word, type, key, place, length) of a tensor's data."""
    if not isinstance(identity, tuple) or len(identity) < 5 or not isinstance(identity[1], Name):
        raise Refused("data kept outside the file")
    word, kind, key, place, count = identity[:5]
    dtype = _DTYPES.get(kind.name.rsplit(".", 1)[-1])
    if dtype is None or not isinstance(count, int) or count < 0:
        raise Refused(f"tensors of type {kind.name}")
    return str(word), dtype, str(key), place, count


def _from_bytes(data: bytearray, dtype: torch.dtype, count: int) -> torch.Tensor:
    return torch.frombuffer(data, dtype=dtype, count=count) if count else torch.zeros(0, dtype=dtype)


def _tensor(storage: torch.Tensor, offset: int, size: Any, stride: Any, *_rest: Any) -> torch.Tensor:
    return storage.as_strided(tuple(size), tuple(stride), offset)


def _constructors() -> dict[str, Callable[..., Any]]:
    """What of torch a checkpoint may name."""
    named: dict[str, Callable[..., Any]] = {
        "torch._utils._rebuild_tensor_v2": _tensor,
        "torch._utils._rebuild_tensor": _tensor,
        "torch._utils._rebuild_parameter": lambda data, *_rest: data,
        "torch.Size": lambda items=(): tuple(items),
        "torch.device": lambda *_place: "cpu",
    }
    for name in _DTYPES:
        named[f"torch.{name}"] = _never
    return named


def _never(*_arguments: Any) -> Any:
    raise Refused("a storage as a value")
