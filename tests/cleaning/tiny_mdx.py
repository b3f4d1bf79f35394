"""An MDX-Net of a few kilobytes in the real layout: [1, 4, bins, frames] in and out, random weights.

It takes each bin away in part: the spectra times the sigmoid of a random mixture of the four planes and the bin.
"""

import json
from pathlib import Path

import numpy as np

from tests.transcribe.tiny_parakeet import _FLOAT, _model, _node, _value

N_FFT, N_BINS, N_FRAMES = 2048, 1000, 16
PARAMS = {"n_fft": N_FFT, "compensation": 1.02, "stem": "vocals"}


def onnx_bytes(
    *, n_bins: float = N_BINS, n_frames: float = N_FRAMES, seed: float = 0, planes: float = 4, openness: float = 0.0
) -> bytes:
    """The .onnx file. `openness` is added before the sigmoid: with 50 the network answers all that it is given."""
    planes, n_bins = int(planes), int(n_bins)
    rng = np.random.default_rng(int(seed))
    mixture = (rng.standard_normal((planes, planes, 1, 1)) * 0.02).astype(np.float32)  # spectra reach some hundreds
    tilt = (rng.standard_normal((1, planes, n_bins, 1)) * 2 + openness).astype(np.float32)
    nodes = [
        _node("Conv", ["input", "mixture"], ["mixed"]),
        _node("Add", ["mixed", "tilt"], ["tilted"]),
        _node("Sigmoid", ["tilted"], ["mask"]),
        _node("Mul", ["input", "mask"], ["output"]),
    ]
    value: list[int | str] = [1, planes, n_bins, int(n_frames)]
    return _model(
        nodes, {"mixture": mixture, "tilt": tilt}, [_value("input", _FLOAT, value)], [_value("output", _FLOAT, value)]
    )


def write(
    folder: Path, name: str = "Tiny.onnx", params: dict[str, object] | None = None, content: bytes | None = None
) -> Path:
    """A model in `folder`, with its figures in a JSON file beside it ({}: without)."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_bytes(onnx_bytes() if content is None else content)
    if params is None or params:
        path.with_suffix(".json").write_text(json.dumps(params or PARAMS))
    return path
