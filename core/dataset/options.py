"""What a person chooses for a preparation. Light: the page and the command line import it."""

import math
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from core.options import parse


class PrepareOptions(BaseModel):
    """How recordings become clips. Unknown or contradictory settings are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rate_hz: int = Field(44100, ge=8000, le=192000, description="sample rate of the clips, Hz")
    slicer: Literal["silence", "vad", "none"] = Field(
        "silence", description="cut at silences, around speech found by Silero, or not at all (one clip a file)"
    )
    threshold_db: float = Field(
        -40.0, ge=-90.0, le=-5.0, description="silence is softer than this, dB, once the recording has target_lufs"
    )
    min_clip_s: float = Field(1.0, ge=0.3, le=30.0, description="shortest clip, s")
    max_clip_s: float = Field(12.0, ge=1.0, le=60.0, description="longest clip, s")
    min_pause_s: float = Field(0.3, ge=0.05, le=5.0, description="shortest pause to cut at, s")
    loudness: Literal["clip", "recording", "none"] = Field(
        "clip", description="bring each clip to target_lufs, or the recording as a whole, or leave the level"
    )
    target_lufs: float = Field(-20.0, ge=-40.0, le=-8.0, description="loudness of the clips, LUFS")
    true_peak_dbtp: float = Field(-1.0, ge=-12.0, le=0.0, description="no peak above this, dBTP")
    min_snr_db: float = Field(12.0, ge=0.0, le=60.0, description="clips noisier than this are put up for review, dB")

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        values = (self.threshold_db, self.min_clip_s, self.max_clip_s, self.target_lufs, self.true_peak_dbtp)
        if not all(math.isfinite(value) for value in values):
            raise ValueError("numbers must be finite")
        if self.max_clip_s < 2 * self.min_clip_s:
            # Otherwise speech a little longer than the longest clip could not be cut into two that are long enough.
            raise ValueError(
                f"max_clip_s ({self.max_clip_s:g}) must be at least twice min_clip_s ({self.min_clip_s:g})"
            )
        if self.min_pause_s > self.min_clip_s:
            raise ValueError(f"min_pause_s ({self.min_pause_s:g}) must not exceed min_clip_s ({self.min_clip_s:g})")
        return self


def parse_options(data: dict[str, Any] | None) -> PrepareOptions:
    """PrepareOptions of a mapping. Raises BadInput that names every field that is unknown or out of range."""
    return parse(PrepareOptions, data, "Preparation options")
