"""DIO and Harvest of the WORLD vocoder, through the pyworld package (MIT)."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.features.pitch.base import ANALYSIS_HZ, PitchPredictor
from core.features.pitch.periodicity import periodicity
from core.features.pitch.postprocess import sample_track

_STEP_S = 0.005
_VOICED = 0.5  # least periodicity of a voiced frame: WORLD's trackers also find a pitch in noise


class _WorldPitch(PitchPredictor):
    """Shared by both: refine with StoneMask, then drop frames that do not repeat at the pitch found."""

    def _candidates(self, pyworld: Any, wav: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return raw f0 [L] and its times [L], one frame every 5 ms."""
        raise NotImplementedError

    def _track(self, wav16k: NDArray[np.float32], at_s: NDArray[np.float64]) -> NDArray[np.float32]:
        import pyworld

        wav = wav16k.astype(np.float64)
        raw, times = self._candidates(pyworld, wav)
        refined = pyworld.stonemask(wav, raw, times, ANALYSIS_HZ)
        f0 = sample_track(refined, 0.0, _STEP_S, at_s)
        return np.where(periodicity(wav16k, f0, at_s) >= _VOICED, f0, np.float32(0))


class HarvestPitch(_WorldPitch):
    """Few octave errors and few dropped frames; the slowest of the two."""

    name = "harvest"

    def _candidates(self, pyworld: Any, wav: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        return pyworld.harvest(
            wav, ANALYSIS_HZ, f0_floor=self.f0_min_hz, f0_ceil=self.f0_max_hz, frame_period=_STEP_S * 1000
        )


class DioPitch(_WorldPitch):
    """Fast; drops more voiced frames than Harvest."""

    name = "dio"

    def _candidates(self, pyworld: Any, wav: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        return pyworld.dio(
            wav, ANALYSIS_HZ, f0_floor=self.f0_min_hz, f0_ceil=self.f0_max_hz, frame_period=_STEP_S * 1000
        )
