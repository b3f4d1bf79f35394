"""Pitch predictors by name."""

from collections.abc import Callable

from core.errors import BadInput
from core.features.pitch.base import PitchPredictor
from core.features.pitch.postprocess import interpolate, resize_linear, resize_nearest, sample_track

__all__ = ["PITCHES", "PitchPredictor", "create", "interpolate", "resize_linear", "resize_nearest", "sample_track"]


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


def create(name: str, device: str = "cpu") -> PitchPredictor:
    """Build a pitch predictor.

    Args:
        name: a key of ``PITCHES``.
        device: ``cpu`` or ``cuda:N``; predictors that are not neural networks ignore it.

    Raises:
        BadInput: unknown name.
    """
    if name not in PITCHES:
        raise BadInput(f"Unknown pitch predictor {name!r}.", f"Use one of {', '.join(PITCHES)}.")
    return PITCHES[name](device)
