"""Pitch tracks as small files: what a person drew, or what another program found. Light: no torch here.

Ours is a plain `.npy`: float32 [T] in Hz, 0 where unvoiced, one value every 512 samples at 44.1 kHz. so-vits-svc's
`X.wav.f0.npy` is read too: a pickled pair (interpolated Hz, voiced), of which nothing is run.
"""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core import atomic
from core.errors import BadInput
from core.features import F0_MAX_HZ, F0_MIN_HZ
from core.features.pitch.postprocess import sample_track

RATE_HZ, HOP = 44100, 512
HOP_S = HOP / RATE_HZ
_MAX_FRAMES = round(24 * 3600 / HOP_S)


@dataclass(frozen=True)
class Track:
    """f0 [T] in Hz, 0 where unvoiced; frame i lies in the middle of its hop."""

    f0: NDArray[np.float32]

    @property
    def duration_s(self) -> float:
        """Of all frames."""
        return self.f0.size * HOP_S

    def at(self, at_s: NDArray[np.floating]) -> NDArray[np.float32]:
        """Hz at times [N] in seconds, 0 where unvoiced and beyond the track."""
        f0 = sample_track(self.f0, 0.5 * HOP_S, HOP_S, at_s)
        f0[(at_s < 0) | (at_s > self.duration_s)] = 0.0
        return f0


def checked(values: Any, where: str) -> Track:
    """A track of numbers. Raises BadInput: not one row, not numbers, too long, or no pitch of a voice."""
    f0 = np.asarray(values)
    if f0.ndim != 1 or f0.size == 0 or f0.dtype.kind not in "fiu" or f0.size > _MAX_FRAMES:
        raise BadInput(f"{where} holds no pitch track (one row of Hz).", "Choose another file.", where=where)
    f0 = f0.astype(np.float32)
    if not np.isfinite(f0).all() or (f0 < 0).any():
        raise BadInput(f"{where} holds pitches that are no numbers, or negative.", "Save it again.", where=where)
    voiced = f0[f0 > 0]
    if voiced.size and (voiced.min() < F0_MIN_HZ / 2 or voiced.max() > 2 * F0_MAX_HZ):
        raise BadInput(
            f"{where} holds pitches from {voiced.min():.0f} to {voiced.max():.0f} Hz, no voice's.",
            f"Pitches lie between {F0_MIN_HZ:.0f} and {F0_MAX_HZ:.0f} Hz, unvoiced is 0.",
            where=where,
        )
    return Track(np.where(f0 > 0, np.clip(f0, F0_MIN_HZ, F0_MAX_HZ), 0).astype(np.float32))


def read_track(path: Path) -> Track:
    """The track of a `.npy` of ours or of so-vits-svc 4.1. Raises BadInput naming the file and what is wrong."""
    try:
        data = path.read_bytes()
        stream = io.BytesIO(data)
        version = np.lib.format.read_magic(stream)
        read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _fortran, dtype = read_header(stream)
        if dtype.hasobject:
            return checked(_upstream(data[stream.tell() :], path.name), path.name)
        if int(np.prod(shape)) > _MAX_FRAMES:
            raise ValueError("too long")
        return checked(np.load(io.BytesIO(data), allow_pickle=False), path.name)
    except (OSError, ValueError, EOFError, SyntaxError) as err:
        raise BadInput(
            f"{path.name} is no pitch track: {err}",
            "Choose a .npy that the studio or so-vits-svc wrote.",
            where=str(path),
        ) from err


def _upstream(pickled: bytes, name: str) -> NDArray[np.float64]:
    """(Hz, voiced) to Hz with gaps, through the reader that calls nothing."""
    from core.models.restricted_pickle import Reader, Refused

    try:
        rows = [np.asarray(row, np.float64).reshape(-1) for row in _array(Reader(_no_storage, _OBJECTS).read(pickled))]
    except Refused as err:
        raise BadInput(
            f"{name} asks to run code while loading ({err}), and was refused.", "Make the pitch again.", where=name
        ) from err
    # As with weights, the file decides which error its reading raises.
    except Exception as err:
        raise BadInput(f"{name} is damaged: {err}", "Make the pitch again.", where=name) from err
    if len(rows) != 2 or rows[0].size != rows[1].size:
        raise BadInput(f"{name} holds no pair of pitch and voicing.", "Choose a W.f0.npy.", where=name)
    return np.where(rows[1] > 0, rows[0], 0.0)


def _no_storage(_identity: Any) -> Any:
    raise ValueError("it refers to tensors")


def _record(name: str) -> Any:
    from core.models.restricted_pickle import Inert

    return lambda *arguments: Inert(name, arguments)


# Arrays of objects, which weights never need: numpy's parts stay records, and `_array` reads those.
_OBJECTS: dict[str, Any] = {"numpy.dtype": _record("dtype")}
for _module in ("numpy.core.multiarray", "numpy._core.multiarray"):
    _OBJECTS[f"{_module}._reconstruct"] = _record("array")
    _OBJECTS[f"{_module}.scalar"] = _record("scalar")


def _array(value: Any) -> Any:
    """Rows or numbers of numpy's records. Raises ValueError and others for what is none."""
    if isinstance(value, float | int):
        return float(value)
    if isinstance(value, list | tuple):
        return [_array(item) for item in value]
    if value.name == "scalar":
        kind, data = value.arguments
        return float(np.frombuffer(data, str(kind.arguments[0]))[0])
    _version, shape, kind, _fortran, data = value.state
    if isinstance(data, list):
        flat = [_array(item) for item in data]
        width = int(np.prod(shape[1:]))
        return [flat[i * width : (i + 1) * width] for i in range(shape[0])] if len(shape) > 1 else flat
    return np.frombuffer(data, np.dtype(str(kind.arguments[0]))).reshape(shape).tolist()


def write_track(path: Path, f0: NDArray[np.floating]) -> Path:
    """Write our file, atomically. Raises BadInput for what is no track, NoSpace."""
    buffer = io.BytesIO()
    np.save(buffer, checked(f0, path.name).f0, allow_pickle=False)
    atomic.write_bytes(path, buffer.getvalue())
    return path
