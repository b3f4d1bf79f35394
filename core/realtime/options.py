"""What a person chooses for live conversion. Light: no numpy, no torch here."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

from core.subtitles.options import parse_options as parse


class RealtimeOptions(BaseModel):
    """Settings of one live conversion. Times are rounded to whole frames of 512 samples where a grid needs it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    voice: str
    """Folder name of the voice."""
    model: str | None = None
    """A model of the voice (folder name or path); None: the newest."""
    transpose: float = Field(default=0.0, ge=-36.0, le=36.0)
    """Semitones."""
    speaker: str | int | None = None
    """Name or id, for models of several speakers; None: the first."""
    pitch: str = "fcpe"
    """Pitch predictor, a name of core.features.pitch."""
    noise_scale: float = Field(default=0.4, ge=0.0, le=2.0)
    """Randomness of the latent (so-vits-svc models)."""
    seed: int = Field(default=52468, ge=0, lt=2**62)
    """Block number i draws from seed + i."""
    block_s: float = Field(default=0.25, ge=0.05, le=3.0)
    """Sound that is converted at a time: longer is cheaper and later."""
    context_s: float = Field(default=1.5, ge=0.1, le=10.0)
    """Past sound that content and pitch are heard in."""
    warm_up_s: float = Field(default=0.3, ge=0.0, le=5.0)
    """Past sound that is rendered again with each block, so that the voice model does not begin out of nothing."""
    lookahead_s: float = Field(default=0.06, ge=0.0, le=2.0)
    """Sound after the block that is waited for: content and pitch are clearer with it."""
    crossfade_s: float = Field(default=0.04, ge=0.005, le=0.3)
    """Time over which one block becomes the next."""
    search_s: float = Field(default=0.01, ge=0.0, le=0.05)
    """How far a block may be moved so that its waves meet those of the one before (SOLA)."""
    gate_db: float = Field(default=-55.0, ge=-120.0, le=0.0)
    """Blocks softer than this (RMS, dBFS) are silence and are not converted."""

    @field_validator("model", "speaker", mode="before")
    @classmethod
    def _blank_is_none(cls, value: Any) -> Any:
        return None if value == "" else value


def parse_options(params: dict[str, Any]) -> RealtimeOptions:
    """RealtimeOptions of a mapping. Raises BadInput naming every field that is unknown, missing or out of range."""
    return parse(RealtimeOptions, params)
