"""What a person chooses for cleaning. Light: doors import it."""

from collections.abc import Mapping
from typing import Any, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

from core.options import parse

StepName = Literal["separate", "highpass", "gate", "denoise", "dereverb", "trim", "loudness"]
STEPS: tuple[StepName, ...] = get_args(StepName)
DenoiserName = Literal["auto", "deepfilter", "rnnoise", "gate"]


class CleanOptions(BaseModel):
    """Steps are done in the order given, each once. Unknown or contradictory settings are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    steps: tuple[StepName, ...] = Field(("highpass", "denoise", "loudness"), description="what to do, in order")
    separator: str = Field("auto", max_length=200, description="file name of an MDX-Net; auto takes the best")
    highpass_hz: float = Field(70.0, ge=10.0, le=500.0, description="what is below goes (rumble, hum), Hz")
    denoiser: DenoiserName = Field("auto", description="auto takes the best that is installed")
    denoise_db: float = Field(100.0, ge=3.0, le=100.0, description="noise is taken down by this at most, dB")
    gate_db: float = Field(18.0, ge=3.0, le=60.0, description="the gate takes noise down by this, dB")
    dereverb_rounds: int = Field(3, ge=1, le=10, description="rounds of estimating the room; more costs time")
    trim_pad_s: float = Field(0.3, ge=0.0, le=5.0, description="what is left before and after the speech, s")
    target_lufs: float = Field(-20.0, ge=-40.0, le=-8.0, description="loudness, LUFS")
    true_peak_dbtp: float = Field(-1.0, ge=-12.0, le=0.0, description="no peak above this, dBTP")
    format: Literal["flac", "wav"] = Field("flac", description="of the files that are written (24 bit)")

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        if not self.steps:
            raise ValueError(f"steps is empty: choose of {', '.join(STEPS)}")
        twice = sorted({step for step in self.steps if self.steps.count(step) > 1})
        if twice:
            raise ValueError(f"steps names {', '.join(twice)} twice")
        if "separate" in self.steps[1:]:
            raise ValueError("separate must come first: it wants the music as it was recorded")
        return self


def parse_clean_options(data: Mapping[str, Any] | None) -> CleanOptions:
    """CleanOptions of a mapping. Raises BadInput that names every field that is unknown or wrong."""
    return parse(CleanOptions, data, "Cleaning")
