"""The package `voxcpm`: imported when a model is loaded, kept quiet, and missed with a sentence."""

import functools
import importlib
import importlib.util
import logging
import warnings
from types import ModuleType

from core.errors import Unavailable

_log = logging.getLogger(__name__)
_ARCHITECTURES = {"voxcpm": "voxcpm.model.voxcpm", "voxcpm2": "voxcpm.model.voxcpm2"}
ARCHITECTURES = tuple(_ARCHITECTURES)


def installed() -> bool:
    """True if the package is there; does not import it."""
    return importlib.util.find_spec("voxcpm") is not None


@functools.cache
def module_of(architecture: str) -> ModuleType:
    """The package's module for "voxcpm" or "voxcpm2". Raises Unavailable where the package is not installed."""
    hint = "Start the studio by launch.sh or launch.bat, which installs it, or: pip install --no-deps voxcpm==2.0.3"
    if not installed():
        raise Unavailable("VoxCPM needs the package voxcpm, which is not installed.", hint, where="voxcpm")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # of torch, about the package's own old style
            warnings.simplefilter("ignore", DeprecationWarning)
            module = importlib.import_module(_ARCHITECTURES[architecture])
    except (ImportError, OSError) as err:
        raise Unavailable(f"The package voxcpm does not start: {err}.", hint, where="voxcpm") from err
    # It prints what it does to the terminal; a program that speaks JSON there cannot have that.
    setattr(module, "print", _to_log)  # noqa: B010
    return module


def _to_log(*words: object, **_: object) -> None:
    _log.debug(" ".join(map(str, words)))
