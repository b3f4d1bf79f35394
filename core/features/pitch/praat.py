"""Praat's autocorrelation method, through the praat-parselmouth package (GPL-3, installed by the user)."""

import numpy as np
from numpy.typing import NDArray

from core.features.pitch.base import ANALYSIS_HZ, PitchPredictor
from core.features.pitch.postprocess import sample_track

_STEP_S = 0.005
_PERIODS = 3  # Praat's window holds three periods of the lowest pitch
_VOICING_THRESHOLD = 0.6


class PraatPitch(PitchPredictor):
    """The field's reference for clean speech; a frame near an edge needs silence around it to be judged."""

    name = "pm"

    def _track(self, wav16k: NDArray[np.float32], at_s: NDArray[np.float64]) -> NDArray[np.float32]:
        import parselmouth

        # Praat starts half a window inside the sound and refuses one shorter than a window.
        margin = round(_PERIODS / self.f0_min_hz * ANALYSIS_HZ)
        sound = parselmouth.Sound(np.pad(wav16k.astype(np.float64), margin), ANALYSIS_HZ)
        track = sound.to_pitch_ac(
            time_step=_STEP_S,
            pitch_floor=self.f0_min_hz,
            pitch_ceiling=self.f0_max_hz,
            voicing_threshold=_VOICING_THRESHOLD,
        )
        start_s = track.xs()[0] - margin / ANALYSIS_HZ
        return sample_track(track.selected_array["frequency"], start_s, _STEP_S, at_s)
