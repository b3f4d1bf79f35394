"""A speaker network of a few kilobytes in CAM++'s layout: [1, T, 80] in, [1, D] out, random weights.

It adds up the squares of each band over time, takes a random mixture of them, and so hears a voice's colour a little.
"""

from pathlib import Path

import numpy as np

from tests.transcribe.tiny_parakeet import _FLOAT, _model, _node, _value

DIM = 32


def write(path: Path, *, n_bands: int = 80, seed: int = 0) -> Path:
    """The network at `path`."""
    table = np.random.default_rng(seed).standard_normal((n_bands, DIM)).astype(np.float32)
    nodes = [
        _node("Mul", ["input", "input"], ["squares"]),
        _node("ReduceSum", ["squares", "time"], ["sums"]),
        _node("MatMul", ["sums", "table"], ["wide"]),
        _node("Squeeze", ["wide", "time"], ["output"]),
    ]
    inputs = [_value("input", _FLOAT, ["b", "t", n_bands])]
    path.parent.mkdir(parents=True, exist_ok=True)
    constants = {"table": table, "time": np.array([1])}
    path.write_bytes(_model(nodes, constants, inputs, [_value("output", _FLOAT, ["b", DIM])]))
    return path
