"""What a person chooses for a text in a trained voice. Light."""

from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from core.engines.sovits.convert_options import parse_options as parse_conversion
from core.subtitles.options import parse_options as parse

Engine = Literal["builtin", "piper", "edge"]
ENGINES: tuple[Engine, ...] = ("builtin", "piper", "edge")
MAX_CHARS = 100_000


class TextOptions(BaseModel):
    """Settings of one text."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    voice: str
    """Folder name of the trained voice."""
    text: str = Field(min_length=1, max_length=MAX_CHARS)
    """What is said."""
    engine: Engine = "builtin"
    """Who says it first: espeak-ng (offline, many languages, robotic), Piper (offline, a voice file a language), Edge
    (a service of Microsoft's: the text leaves this machine)."""
    language: str = Field(default="auto", pattern=r"^(auto|[a-z]{2,3}(-[A-Za-z0-9-]{2,20})?)$")
    """Code such as en, zh, de; auto looks at the text."""
    speaker: str = "auto"
    """woman, man, or a voice of the engine (Piper: path of its .onnx file); auto: as the trained voice is high."""
    rate: float = Field(default=1.0, ge=0.25, le=4.0)
    """Speed; 1 is the engine's own."""
    volume_db: float = Field(default=0.0, ge=-40.0, le=20.0)
    """Louder or softer before conversion, dB; the voice follows it."""
    convert: dict[str, Any] = Field(default_factory=dict)
    """Fields of ConvertOptions; "transpose" is "auto" unless said otherwise."""
    spoken: str | None = None
    """Path (.wav) at which what the engine said is kept, to be heard beside the result; None: it is not kept."""
    out: str | None = None
    """Path of the result (.wav, .flac, .mp3); None: a new name in the workspace's outputs."""

    @field_validator("text")
    @classmethod
    def _says_something(cls, value: str) -> str:
        if not any(char.isalnum() for char in value):
            raise ValueError("there is nothing in it that can be said")
        return value

    @model_validator(mode="after")
    def _piper_needs_a_file(self) -> Self:
        if self.engine == "piper" and not self.speaker.endswith(".onnx"):
            raise ValueError("piper needs speaker: the path of a voice's .onnx file")
        taken = sorted({"voice", "source", "out"} & self.convert.keys())
        if taken:
            raise ValueError(f"{', '.join(taken)}: the text decides this itself")
        return self


def parse_options(params: dict[str, Any]) -> TextOptions:
    """TextOptions of a mapping; those of the conversion are checked too. Raises BadInput naming every wrong field."""
    options = parse(TextOptions, params)
    parse_conversion({"voice": options.voice, "source": "-", **options.convert})
    return options
