"""What a person chooses for speech, whatever the engine. Light: the page and the command line import it."""

import secrets
from typing import Self

from pydantic import BaseModel, ConfigDict, Field

MAX_SEED = 2**31 - 1


class SpeechOptions(BaseModel):
    """Settings that every engine takes; an engine adds its own in a subclass. Unknown ones are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    seed: int | None = Field(
        default=None, ge=0, le=MAX_SEED, description="the same seed says it the same way; None takes a new one"
    )
    pause_ms: int = Field(default=150, ge=0, le=5000, description="silence between two sentences, ms")
    paragraph_pause_ms: int = Field(default=500, ge=0, le=10000, description="silence between two paragraphs, ms")
    max_weight: int = Field(
        default=240,
        ge=60,
        le=2000,
        description="longest piece said in one breath, in letters; a Chinese character counts three",
    )

    def seeded(self) -> Self:
        """These options with a seed in them, so that the result can be made again."""
        return self if self.seed is not None else self.model_copy(update={"seed": secrets.randbelow(MAX_SEED)})
