"""What a person chooses for cleaning subtitles. Light: the page and the command line import it."""

from typing import Any, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, model_validator

from core.options import parse

Options = TypeVar("Options", bound=BaseModel)


class MergeOptions(BaseModel):
    """How cues are put together: whole sentences first, then these lengths."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    target_min_s: float = Field(
        default=5.0, ge=0.0, le=60.0, description="cues shorter than this look for a neighbour, s"
    )
    target_max_s: float = Field(
        default=12.0, ge=1.0, le=60.0, description="cues are not made longer than this without need, s"
    )
    limit_s: float = Field(default=15.0, ge=1.0, le=60.0, description="no cue is made longer than this, s")
    pause_ms: int = Field(
        default=500, ge=50, le=5000, description="where punctuation is missing, a pause this long ends a sentence, ms"
    )
    bridge_ms: int = Field(
        default=1500, ge=0, le=10000, description="longest silence between two sentences of one cue, ms"
    )
    bridge_inside_ms: int = Field(default=2500, ge=0, le=10000, description="longest silence inside a sentence, ms")
    fix_text: bool = Field(default=True, description="mend punctuation, capitals and what recognisers get wrong")
    glossary: list[str] = Field(
        default=[], max_length=2000, description="names and terms as they are spelled, or wrong = right"
    )

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if not self.target_min_s <= self.target_max_s <= self.limit_s:
            raise ValueError("target_min_s, target_max_s and limit_s must not fall")
        return self


class CheckOptions(BaseModel):
    """What an answer may change."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    limit_s: float = Field(default=15.0, ge=1.0, le=60.0, description="a cue longer than this fails, s")
    max_distance: float = Field(
        default=0.2,
        ge=0.0,
        le=1.0,
        description="edits a character, case, spaces and punctuation aside, that pass as mending",
    )
    max_run: int = Field(
        default=12,
        ge=0,
        le=200,
        description="letters in a row that may be added or left out; a Chinese character counts three",
    )


def parse_options(kind: type[Options], data: dict[str, Any] | None) -> Options:
    """Options of a mapping. Raises BadInput that names every field that is unknown or out of range."""
    return parse(kind, data, "Options that cannot be used")
