"""A Parakeet of a few kilobytes for the tests: the real package loads and runs it, and it always says the same.

Its encoder takes every eighth frame; its decoder looks the next token up by the last one, whatever the sound. ONNX is
written here as protocol buffers (field numbers of onnx.proto3), because the package onnx is no requirement.
"""

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

TOKENS = ("▁Hello", "▁wor", "ld.", "<blk>")
SAYS = "Hello world."
STARTS_S = (0.0, 0.32)
"""When the words begin within a piece: frames of 80 ms, and the first token lasts four of them."""
_FLOAT, _INT64, _INT32 = 1, 7, 6
_DURATIONS = 5


def write(folder: Path) -> Path:
    """The files that onnx-asr asks of a Parakeet TDT, in `folder`."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(
        json.dumps({"model_type": "nemo-conformer-tdt", "features_size": 128, "subsampling_factor": 8})
    )
    (folder / "vocab.txt").write_text("".join(f"{token} {at}\n" for at, token in enumerate(TOKENS)), encoding="utf-8")
    (folder / "encoder-model.onnx").write_bytes(_encoder())
    (folder / "decoder_joint-model.onnx").write_bytes(_decoder())
    return folder


def _encoder() -> bytes:
    one, eight = np.array([1], np.int64), np.array([8], np.int64)
    constants = {
        "one": one, "eight": eight, "starts": np.array([0, 0]), "ends": np.array([1, 2**31]), "axes": np.array([1, 2]),
        "steps": np.array([1, 8]),
    }  # fmt: skip
    nodes = [
        _node("Slice", ["audio_signal", "starts", "ends", "axes", "steps"], ["outputs"]),
        _node("Sub", ["length", "one"], ["a"]),
        _node("Div", ["a", "eight"], ["b"]),
        _node("Add", ["b", "one"], ["encoded_lengths"]),
    ]
    inputs = [_value("audio_signal", _FLOAT, ["n", 128, "t"]), _value("length", _INT64, ["n"])]
    outputs = [_value("outputs", _FLOAT, ["n", 1, "s"]), _value("encoded_lengths", _INT64, ["n"])]
    return _model(nodes, constants, inputs, outputs)


def _decoder() -> bytes:
    blank = len(TOKENS) - 1
    table = np.zeros((len(TOKENS), len(TOKENS) + _DURATIONS), np.float32)
    for last, token, frames in ((blank, 0, 4), (0, 1, 2), (1, 2, 2), (2, blank, 4)):
        table[last, token] = table[last, len(TOKENS) + frames] = 1.0
    states = ["input_states_1", "input_states_2"]
    nodes = [_node("Gather", ["table", "targets"], ["outputs"])]
    nodes += [_node("Identity", [name], [name.replace("input", "output")]) for name in states]
    inputs = [
        _value("encoder_outputs", _FLOAT, [1, 1, 1]), _value("targets", _INT32, [1, 1]),
        _value("target_length", _INT32, [1]), *(_value(name, _FLOAT, [1, 1, 2]) for name in states),
    ]  # fmt: skip
    outputs = [_value("outputs", _FLOAT, [1, 1, table.shape[1]])]
    outputs += [_value(name.replace("input", "output"), _FLOAT, [1, 1, 2]) for name in states]
    return _model(nodes, {"table": table}, inputs, outputs)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def _field(number: int, value: int | str | bytes) -> bytes:
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    raw = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(raw)) + raw


def _node(kind: str, inputs: list[str], outputs: list[str]) -> bytes:
    return b"".join([*(_field(1, one) for one in inputs), *(_field(2, one) for one in outputs), _field(4, kind)])


def _value(name: str, kind: int, shape: list[int | str]) -> bytes:
    dims = b"".join(_field(1, _field(1 if isinstance(size, int) else 2, size)) for size in shape)
    return _field(1, name) + _field(2, _field(1, _field(1, kind) + _field(2, dims)))


def _tensor(name: str, array: "NDArray[np.generic]") -> bytes:
    kind = _FLOAT if array.dtype == np.float32 else _INT64
    dims = b"".join(_field(1, size) for size in array.shape)
    return dims + _field(2, kind) + _field(8, name) + _field(9, array.tobytes())


def _model(
    nodes: list[bytes], constants: "dict[str, NDArray[np.generic]]", inputs: list[bytes], outputs: list[bytes]
) -> bytes:
    graph = b"".join(
        [
            *(_field(1, node) for node in nodes), _field(2, "tiny"),
            *(_field(5, _tensor(name, array)) for name, array in constants.items()),
            *(_field(11, one) for one in inputs), *(_field(12, one) for one in outputs),
        ]
    )  # fmt: skip
    return _field(1, 8) + _field(7, graph) + _field(8, _field(1, "") + _field(2, 13))
