"""What a person chooses for VoxCPM. Light: the page and the command line import it."""

from typing import Any, Literal

from pydantic import Field, model_validator

from core.speech.options import SpeechOptions

QUALITIES = {
    "fast": {"steps": 6, "retries": 1},
    "balanced": {"steps": 10, "retries": 3},
    "fine": {"steps": 30, "retries": 5},
}
"""What the presets set."""


class VoxOptions(SpeechOptions):
    """Settings of one request."""

    quality: Literal["", "fast", "balanced", "fine"] = Field(
        default="", description="sets steps and retries where they are not given"
    )
    mode: Literal["auto", "continue", "reference", "both"] = Field(
        default="auto",
        description="how the clip is used: continued where its words are known, its voice alone (VoxCPM 2), or both",
    )
    cfg: float = Field(default=2.0, ge=0.0, le=10.0, description="how closely text and voice are followed")
    steps: int = Field(default=10, ge=2, le=100, description="steps of the diffusion; more is slower and cleaner")
    min_patches: int = Field(default=2, ge=0, le=1000, description="a sentence does not stop before this many patches")
    max_patches: int = Field(default=4096, ge=1, le=8192, description="longest sentence, in patches of 80 or 160 ms")
    patches_a_token: float = Field(
        default=6.0, ge=1.0, le=50.0, description="a sentence longer than this is taken for a failure"
    )
    retries: int = Field(
        default=3, ge=0, le=10, description="new tries after a failure, each with the next seed; not while streaming"
    )
    description: str = Field(
        default="", max_length=500, description="VoxCPM 2 without a transcript: how the voice should sound"
    )
    normalise: bool = Field(default=False, description="write out numbers, dates and signs (by the package wetext)")
    lora: str = Field(default="", description="folder of a LoRA that was trained from this model")
    patches_a_chunk: int = Field(default=1, ge=1, le=64, description="streaming: patches in one chunk")

    @model_validator(mode="before")
    @classmethod
    def _fill_quality(cls, data: Any) -> Any:
        preset = QUALITIES.get(str(data.get("quality", ""))) if isinstance(data, dict) else None
        return {**preset, **data} if preset else data
