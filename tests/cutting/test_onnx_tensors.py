"""Tensors come out of an ONNX file as they went in; other files are refused with one kind of error."""

import contextlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from core.cutting.onnx_tensors import float_tensors


def varint(value: int) -> bytes:
    out = b""
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def field(number: int, value: int | bytes) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def model(name: str, array: np.ndarray) -> bytes:
    shape = b"".join(field(1, n) for n in array.shape)
    tensor = shape + field(2, 1) + field(8, name.encode()) + field(9, array.astype("<f4").tobytes())
    fixed = varint(3 << 3 | 5) + bytes(4) + varint(4 << 3 | 1) + bytes(8)
    return field(1, 8) + fixed + field(7, field(2, b"graph") + field(5, tensor))


@settings(max_examples=20)
@given(hnp.arrays(np.float32, hnp.array_shapes(max_dims=3, max_side=20), elements=st.floats(-1, 1, width=32)))
def test_round_trip(tmp_path_factory: pytest.TempPathFactory, array: np.ndarray) -> None:
    path = tmp_path_factory.getbasetemp() / "one.onnx"
    path.write_bytes(model("a.weight", array))
    assert np.array_equal(float_tensors(path)["a.weight"], array)


@settings(max_examples=40)
@given(st.binary(max_size=200), st.integers(0, 60))
def test_damage_is_a_value_error(tmp_path_factory: pytest.TempPathFactory, noise: bytes, at: int) -> None:
    whole = model("a", np.ones(3, np.float32))
    path = tmp_path_factory.getbasetemp() / "bad.onnx"
    for data in (noise, whole[:at] + noise + whole[at:], whole[:at]):
        path.write_bytes(data)
        with contextlib.suppress(ValueError):
            assert isinstance(float_tensors(path), dict)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(OSError):
        float_tensors(tmp_path / "none.onnx")
