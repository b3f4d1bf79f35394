"""Pitch predictors by name."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec

from core.errors import BadInput
from core.features.pitch.base import PitchPredictor
from core.features.pitch.postprocess import interpolate, resize_linear, resize_nearest, sample_track

__all__ = [
    "PITCHES",
    "PitchInfo",
    "PitchPredictor",
    "available",
    "create",
    "interpolate",
    "resize_linear",
    "resize_nearest",
    "sample_track",
]


@dataclass(frozen=True)
class PitchInfo:
    """A predictor as a page lists it; ``why_not`` says what is missing when it is not ready."""

    name: str
    ready: bool
    why_not: str


def _fcpe(device: str) -> PitchPredictor:
    from core.features.pitch.fcpe import FcpePitch

    return FcpePitch(device)


def _crepe(device: str) -> PitchPredictor:
    from core.features.pitch.crepe import CrepePitch

    return CrepePitch(device)


def _crepe_tiny(device: str) -> PitchPredictor:
    from core.features.pitch.crepe import CrepePitch

    return CrepePitch(device, "tiny")


def _harvest(_device: str) -> PitchPredictor:
    from core.features.pitch.world import HarvestPitch

    return HarvestPitch()


def _dio(_device: str) -> PitchPredictor:
    from core.features.pitch.world import DioPitch

    return DioPitch()


def _pm(_device: str) -> PitchPredictor:
    from core.features.pitch.praat import PraatPitch

    return PraatPitch()


PITCHES: dict[str, Callable[[str], PitchPredictor]] = {
    "fcpe": _fcpe,
    "crepe": _crepe,
    "crepe-tiny": _crepe_tiny,
    "harvest": _harvest,
    "dio": _dio,
    "pm": _pm,
}
_PACKAGES = {
    "fcpe": "torchfcpe",
    "crepe": "torchcrepe",
    "crepe-tiny": "torchcrepe",
    "harvest": "pyworld",
    "dio": "pyworld",
    "pm": "parselmouth",
}


def available() -> list[PitchInfo]:
    """List the predictors, ready or not, without loading one."""
    infos = []
    for name in PITCHES:
        package = _PACKAGES[name]
        ready = find_spec(package) is not None
        infos.append(PitchInfo(name, ready, "" if ready else f"The package {package} is not installed."))
    return infos


def create(name: str, device: str = "cpu") -> PitchPredictor:
    """Build a pitch predictor.

    Args:
        name: a key of ``PITCHES``.
        device: ``cpu`` or ``cuda:N``; predictors that are not neural networks ignore it.

    Raises:
        BadInput: unknown name.
        Unavailable: the predictor's package is optional and not installed.
    """
    if name not in PITCHES:
        raise BadInput(f"Unknown pitch predictor {name!r}.", f"Use one of {', '.join(PITCHES)}.")
    return PITCHES[name](device)
