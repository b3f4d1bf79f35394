"""DIO and Harvest of the WORLD vocoder, through the pyworld package (MIT), which is optional."""

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.errors import Unavailable
from core.features import F0_MAX_HZ, F0_MIN_HZ
from core.features.pitch.base import ANALYSIS_HZ, PitchPredictor
from core.features.pitch.periodicity import periodicity
from core.features.pitch.postprocess import sample_track

_STEP_S = 0.005
_VOICED = 0.5  # least periodicity of a voiced frame: WORLD's trackers also find a pitch in noise


class _WorldPitch(PitchPredictor):
    """Shared by both: refine with StoneMask, then drop frames that do not repeat at the pitch found."""

    def __init__(self, f0_min_hz: float = F0_MIN_HZ, f0_max_hz: float = F0_MAX_HZ) -> None:
        """See the base class. Raises Unavailable without the package."""
        super().__init__(f0_min_hz, f0_max_hz)
        self._pyworld = _load_pyworld(self.name)

    def _candidates(self, wav: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return raw f0 [L] and its times [L], one frame every 5 ms."""
        raise NotImplementedError

    def _track(self, wav16k: NDArray[np.float32], at_s: NDArray[np.float64]) -> NDArray[np.float32]:
        wav = wav16k.astype(np.float64)
        raw, times = self._candidates(wav)
        refined = self._pyworld.stonemask(wav, raw, times, ANALYSIS_HZ)
        f0 = sample_track(refined, 0.0, _STEP_S, at_s)
        return np.where(periodicity(wav16k, f0, at_s) >= _VOICED, f0, np.float32(0))


class HarvestPitch(_WorldPitch):
    """Few octave errors and few dropped frames, at twenty times the cost of DIO."""

    name = "harvest"

    def _candidates(self, wav: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        return self._pyworld.harvest(
            wav, ANALYSIS_HZ, f0_floor=self.f0_min_hz, f0_ceil=self.f0_max_hz, frame_period=_STEP_S * 1000
        )


class DioPitch(_WorldPitch):
    """Fast; drops more voiced frames than Harvest."""

    name = "dio"

    def _candidates(self, wav: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        return self._pyworld.dio(
            wav, ANALYSIS_HZ, f0_floor=self.f0_min_hz, f0_ceil=self.f0_max_hz, frame_period=_STEP_S * 1000
        )


def _load_pyworld(predictor: str) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it imports pkg_resources, which announces its own end
            import pyworld
    except ImportError as error:
        raise Unavailable(
            f"The pitch predictor {predictor} needs the package pyworld, which is not installed ({error}).",
            "Choose fcpe or pm; or install requirements-optional.txt, which needs a C++ compiler on Linux and macOS.",
        ) from error
    return pyworld
