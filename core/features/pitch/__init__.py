"""Pitch predictors by name."""

from collections.abc import Callable

from core.errors import BadInput
from core.features.pitch.base import PitchPredictor
from core.features.pitch.postprocess import interpolate, resize_linear, resize_nearest, sample_track

__all__ = ["PITCHES", "PitchPredictor", "create", "interpolate", "resize_linear", "resize_nearest", "sample_track"]


def _fcpe(device: str) -> PitchPredictor:
    from core.features.pitch.fcpe import FcpePitch

    return FcpePitch(device)


PITCHES: dict[str, Callable[[str], PitchPredictor]] = {"fcpe": _fcpe}


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
