"""What a person chooses for a spoken text. Light: the page and the command line import it."""

from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from core.speech.options import MAX_SEED


class SayOptions(BaseModel):
    """Parameters of the job. Unknown ones are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    out: str = Field(description="where the speech goes: .wav, .flac or .mp3")
    text: str | None = Field(default=None, description="what is said")
    file: str | None = Field(default=None, description="text file with what is said")
    srt: str | None = Field(default=None, description="subtitles: each cue is said at its time")
    engine: str = Field(default="voxcpm", description="speech engine")
    model: str = Field(default="", description="folder or name of the model; empty: the best that is here")
    voice: str | None = Field(default=None, description="voice whose best clip is the reference")
    prompt_audio: str | None = Field(default=None, description="reference clip")
    prompt_text: str = Field(default="", max_length=2000, description="what is said in the reference clip")
    reference_audio: str | None = Field(
        default=None, description="clip whose voice alone is taken, beside prompt_audio or without (VoxCPM 2)"
    )
    denoise: bool = Field(default=False, description="take the noise out of the clip first")
    stream: bool = Field(default=False, description="make it in the small chunks of a live stream")
    seed: int | None = Field(default=None, ge=0, le=MAX_SEED, description="the same seed says it the same way")
    max_speed: float = Field(default=1.3, ge=1.0, le=2.0, description="subtitles: most that a line is sped up to fit")
    options: dict[str, Any] = Field(default_factory=dict, description="the engine's own settings")

    @model_validator(mode="after")
    def _one_of_each(self) -> Self:
        if sum(given is not None for given in (self.text, self.file, self.srt)) != 1:
            raise ValueError("give exactly one of text, file and srt")
        if self.voice and (self.prompt_audio or self.reference_audio):
            raise ValueError("give either a voice or a clip, not both")
        if self.prompt_text and not self.prompt_audio:
            raise ValueError("prompt_text is what is said in prompt_audio, which is missing")
        if self.seed is not None and self.options.get("seed", self.seed) != self.seed:
            raise ValueError("seed is given twice")
        return self
