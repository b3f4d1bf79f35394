"""What a person chooses for a transcription. Light: the page and the command line import it."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

ENGINES = ("whisper", "parakeet")


class TranscribeOptions(BaseModel):
    """Parameters of the job. Unknown ones are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    audio: str = Field(description="recording, any format")
    out: str = Field(description="where the SRT goes")
    engine: Literal["whisper", "parakeet"] = Field(default="whisper", description="recogniser")
    model: str | None = Field(
        default=None, description="size (tiny … large-v3-turbo), name in the catalogue or folder; None: the best here"
    )
    language: str | None = Field(
        default=None, pattern=r"^[a-z]{2,3}$", description="two letters, such as en or zh; None: found out"
    )
    beam_size: int = Field(default=5, ge=1, le=20, description="Whisper: alternatives kept while decoding")
    batch_size: int = Field(default=0, ge=0, le=64, description="pieces decoded at once; 0 chooses")
    vad_threshold: float = Field(default=0.5, gt=0.05, lt=0.95, description="speech is more probable than this")
    hint: str | None = Field(default=None, max_length=1000, description="Whisper: names and words that will come")
    pause_ms: int = Field(default=500, ge=50, le=5000, description="ends a sentence where no mark does, ms")
    limit_s: float = Field(default=15.0, ge=2.0, le=30.0, description="longest cue, s")
