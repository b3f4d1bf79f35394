"""Content encoders in ONNX form (vec-768-layer-12.onnx and the like), run by onnxruntime: no torch network needed.

A folder holds the one file `model.onnx`. It takes samples [1, 1, N] or [1, N] and gives units [1, T, C] or [1, C, T].
"""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from core.errors import ModelFileError
from core.features.encoders.base import ContentEncoder
from core.features.encoders.windows import HOP, RECEPTIVE, in_windows

FILE = "model.onnx"


class OnnxEncoder(ContentEncoder):
    """Units of an ONNX network over 16 kHz speech."""

    def __init__(self, folder: Path, name: str, dim: int, device: str = "cpu") -> None:
        """Open the file.

        Args:
            folder: holds ``model.onnx``.
            name: name in the registry.
            dim: C, the channels that its units should have.
            device: ``cpu`` or ``cuda:N``; the GPU is used where onnxruntime has a part for it.

        Raises:
            ModelFileError: the file is no ONNX network of that kind.
        """
        import onnxruntime

        self.name, self.dim = name, dim
        path = folder / FILE
        wanted = ["CUDAExecutionProvider", "CPUExecutionProvider"] if device.startswith("cuda") else []
        there = [one for one in wanted if one in onnxruntime.get_available_providers()]
        settings = onnxruntime.SessionOptions()
        settings.log_severity_level = 3
        try:
            self._session: Any = onnxruntime.InferenceSession(
                str(path), settings, providers=there or ["CPUExecutionProvider"]
            )
        # onnxruntime's own family of errors has no common base of its own to name.
        except Exception as error:
            raise ModelFileError(
                f"{path.name} of {name} is no ONNX network that can be run: {str(error).splitlines()[0][:200]}",
                "Get the file again.",
                where=str(path),
            ) from error
        self._rank = self._check(path)
        with open(path, "rb") as source:
            self.fingerprint = hashlib.file_digest(source, "sha256").hexdigest()[:16]

    def _check(self, path: Path) -> int:
        """The rank of its input. Raises ModelFileError where it is another kind of network."""
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        given = outputs[0].shape
        known = [size for size in given[1:] if isinstance(size, int)]  # the others are names, known in a run
        if (
            len(inputs) != 1
            or len(inputs[0].shape) not in (2, 3)
            or len(given) != 3
            or (known and self.dim not in known)
        ):
            raise ModelFileError(
                f"{path.name} is not an encoder with units of {self.dim} channels: it takes "
                f"{[i.shape for i in inputs]} and gives {[o.shape for o in outputs]}.",
                "Choose the file of this encoder.",
                where=str(path),
            )
        return len(inputs[0].shape)

    def encode(self, wav16k: Tensor) -> Tensor:
        """Encode [N] to about [(N - 400) // 320 + 1, C]; the network decides. Over 30 s it goes in windows."""
        if wav16k.shape[0] < RECEPTIVE:
            return torch.zeros(0, self.dim)
        return in_windows(wav16k, (wav16k.shape[0] - RECEPTIVE) // HOP + 1, self._run)

    def _run(self, wav16k: Tensor) -> Tensor:
        samples = wav16k.cpu().numpy().astype(np.float32).reshape((1,) * (self._rank - 1) + (-1,))
        name = self._session.get_inputs()[0].name
        units = self._session.run(None, {name: samples})[0][0]
        if units.ndim != 2 or self.dim not in units.shape:
            raise ModelFileError(
                f"{self.name} gave units of shape {list(units.shape)}, not of {self.dim} channels.",
                "It is another network than its name says: import the right file.",
            )
        return torch.from_numpy(np.ascontiguousarray(units if units.shape[1] == self.dim else units.T))
