"""The tensors stored in an ONNX file, without a library that would run it.

The format is protocol buffers (protobuf.dev, "Encoding"); the numbers of the fields are those of onnx.proto3:
ModelProto.graph = 7, GraphProto.initializer = 5, TensorProto.dims = 1, data_type = 2, name = 8, raw_data = 9.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

_GRAPH, _INITIALIZER, _DIMS, _TYPE, _NAME, _RAW = 7, 5, 1, 2, 8, 9
_FLOAT = 1
_VARINT, _BYTES = 0, 2
_FIXED_BYTES = {1: 8, 5: 4}


def float_tensors(path: Path) -> dict[str, NDArray[np.float32]]:
    """All float32 initializers with raw data, by name. Raises OSError, ValueError (not such a file)."""
    found: dict[str, NDArray[np.float32]] = {}
    try:
        for number, graph in _fields(memoryview(path.read_bytes())):
            if number == _GRAPH and isinstance(graph, memoryview):
                for inner, tensor in _fields(graph):
                    if inner == _INITIALIZER and isinstance(tensor, memoryview):
                        _take(tensor, found)
    except (IndexError, KeyError) as err:
        raise ValueError(f"{path.name} is no ONNX file") from err
    return found


def _take(tensor: memoryview, found: dict[str, NDArray[np.float32]]) -> None:
    name, shape, kind, raw = "", [], 0, memoryview(b"")
    for number, value in _fields(tensor):
        if isinstance(value, int):
            if number == _DIMS:
                shape.append(value)
            elif number == _TYPE:
                kind = value
        elif number == _NAME:
            name = bytes(value).decode()
        elif number == _RAW:
            raw = value
    if kind == _FLOAT and len(raw):
        found[name] = np.frombuffer(raw, "<f4").reshape(shape).astype(np.float32)


def _fields(data: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """(number, value) of each field of one message."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        number, wire = key >> 3, key & 7
        if wire == _VARINT:
            value, at = _varint(data, at)
            yield number, value
            continue
        size = _FIXED_BYTES[wire] if wire != _BYTES else 0
        if wire == _BYTES:
            size, at = _varint(data, at)
        if at + size > len(data):
            raise IndexError("a field ends beyond its message")
        yield number, data[at : at + size]
        at += size


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
