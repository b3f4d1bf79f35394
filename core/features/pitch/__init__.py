"""Pitch predictors by name."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec

from core.errors import BadInput, Unavailable
from core.features.pitch.base import PitchPredictor
from core.features.pitch.postprocess import interpolate, resize_linear, resize_nearest, sample_track
from core.models import catalogue
from core.settings import Settings, load_settings

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


def _fcpe(device: str, threshold: float | None, _settings: Settings | None) -> PitchPredictor:
    from core.features.pitch.fcpe import FcpePitch

    return FcpePitch(device, threshold=threshold)


def _rmvpe(device: str, threshold: float | None, settings: Settings | None) -> PitchPredictor:
    from core.features.pitch.rmvpe import FILES, THRESHOLD, RmvpePitch

    settings = settings or load_settings()
    found = catalogue.locate(settings, "rmvpe")
    if found.state != "present" or found.path is None:
        one = found.entry
        raise Unavailable(
            f"The pitch predictor rmvpe needs its weights in {found.path}: about {one.size_bytes / 2**20:.0f} MB, "
            f"licence {one.licence}.",
            f"{one.by_hand[0].upper()}{one.by_hand[1:]}. fcpe needs no download.",
            where=str(found.path),
        )
    file = next(found.path / name for name in FILES if (found.path / name).is_file())
    return RmvpePitch(file, device, THRESHOLD if threshold is None else threshold)


def _crepe(device: str, threshold: float | None, _settings: Settings | None) -> PitchPredictor:
    from core.features.pitch.crepe import CrepePitch

    return CrepePitch(device, threshold=threshold)


def _crepe_tiny(device: str, threshold: float | None, _settings: Settings | None) -> PitchPredictor:
    from core.features.pitch.crepe import CrepePitch

    return CrepePitch(device, "tiny", threshold=threshold)


def _harvest(_device: str, _threshold: float | None, _settings: Settings | None) -> PitchPredictor:
    from core.features.pitch.world import HarvestPitch

    return HarvestPitch()


def _dio(_device: str, _threshold: float | None, _settings: Settings | None) -> PitchPredictor:
    from core.features.pitch.world import DioPitch

    return DioPitch()


def _pm(_device: str, _threshold: float | None, _settings: Settings | None) -> PitchPredictor:
    from core.features.pitch.praat import PraatPitch

    return PraatPitch()


Maker = Callable[[str, float | None, Settings | None], PitchPredictor]
PITCHES: dict[str, Maker] = {
    "fcpe": _fcpe,
    "rmvpe": _rmvpe,
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


def available(settings: Settings | None = None) -> list[PitchInfo]:
    """List the predictors, ready or not, without loading one; `settings` say where rmvpe's file would lie."""
    infos = []
    for name in PITCHES:
        if name == "rmvpe":
            ready = catalogue.locate(settings or load_settings(), "rmvpe").state == "present"
            infos.append(PitchInfo(name, ready, "" if ready else "Its weights are not in pretrain/rmvpe."))
            continue
        package = _PACKAGES[name]
        ready = find_spec(package) is not None
        infos.append(PitchInfo(name, ready, "" if ready else f"The package {package} is not installed."))
    return infos


def create(
    name: str, device: str = "cpu", *, threshold: float | None = None, settings: Settings | None = None
) -> PitchPredictor:
    """Build a pitch predictor.

    Args:
        name: a key of ``PITCHES``.
        device: ``cpu`` or ``cuda:N``; predictors that are not neural networks ignore it.
        threshold: least confidence (0..1) of a voiced frame, for the neural ones; None: the predictor's own.
        settings: where pretrained files lie; None: the default settings.

    Raises:
        BadInput: unknown name.
        Unavailable: the predictor's package or weights are not here; the hint says how to get them.
        ModelFileError: its weights are damaged.
    """
    if name not in PITCHES:
        raise BadInput(f"Unknown pitch predictor {name!r}.", f"Use one of {', '.join(PITCHES)}.")
    return PITCHES[name](device, threshold, settings)
