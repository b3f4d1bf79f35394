"""Numpy files that hold objects (`.f0.npy` of so-vits-svc), read as numbers without unpickling anything."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import NDArray

from core.errors import ModelFileError
from core.models.restricted_pickle import Reader, Refused, _Array, _Dtype, finished


class _AnyDtype(_Dtype):
    """A number type, or "objects"."""

    def __init__(self, code: str, *flags: Any) -> None:
        if code.startswith("O"):
            self.value = np.dtype(object)
        else:
            super().__init__(code, *flags)


class _Objects(_Array):
    """An array of numbers, or of objects that are numbers or arrays of them."""

    def fill(self, state: Any) -> None:
        """Take shape and content from the state."""
        _version, shape, _dtype, _fortran, data = state
        if not isinstance(data, list):
            super().fill(state)
            return
        flat = np.empty(len(data), object)
        for place, item in enumerate(data):
            flat[place] = finished(item)
        self.value = flat.reshape(shape)


def _storage(_identity: Any) -> Any:
    raise Refused("data kept outside the file")


def read_npy(path: Path) -> NDArray[Any]:
    """The array in a .npy file; of objects, each is a number or an array of numbers.

    Raises:
        ModelFileError: the file is damaged, no .npy file, or holds more than numbers.
    """
    try:
        with open(path, "rb") as file:
            version = npy_format.read_magic(file)
            read_header = npy_format.read_array_header_1_0 if version == (1, 0) else npy_format.read_array_header_2_0
            _shape, _fortran, dtype = read_header(file)
            if dtype.hasobject:
                named = {f"numpy.{core}.multiarray._reconstruct": lambda *_: _Objects() for core in ("core", "_core")}
                value = finished(Reader(_storage, {**named, "numpy.dtype": _AnyDtype}).read(file))
                if not isinstance(value, np.ndarray):
                    raise ValueError("no array inside")
                return value
        return np.load(path, allow_pickle=False)
    except Refused as err:
        raise ModelFileError(
            f"{path.name} holds more than numbers ({err}), and was refused.", "Make it again.", where=str(path)
        ) from err
    # The file decides which error its reading raises; none may reach a user as it is.
    except Exception as err:
        raise ModelFileError(f"{path.name} is damaged: {str(err)[:200]}.", "Make it again.", where=str(path)) from err
