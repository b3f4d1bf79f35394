"""What a person chooses for an ONNX export. Light: no torch here."""

from typing import Any

from pydantic import BaseModel, ConfigDict, field_validator, model_validator

from core.subtitles.options import parse_options as parse


class OnnxOptions(BaseModel):
    """Settings of one export: a voice's model, or a weights file with its config."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    voice: str | None = None
    """Folder name of the voice."""
    model: str | None = None
    """A model of the voice (folder name or path); None: the newest."""
    weights: str | None = None
    """Instead of a voice: a G_*.pth or .safetensors file."""
    config: str | None = None
    """Its config.json; None: the one beside it."""
    out: str | None = None
    """Folder of the result; None: `onnx` in the workspace's outputs."""
    name: str | None = None
    """What the model is called in files and players; None: the voice's name, or the file's."""
    mix: bool | None = None
    """The speaker is given as weights a frame [T, speakers], not as a number; None: where there are several."""
    predict_f0: bool = False
    """The graph makes the melody itself and gives it as a second output (models with automatic pitch)."""
    source_noise: bool = False
    """The source's random numbers are inputs too, so that a result can be repeated; else the graph draws them."""

    @field_validator("voice", "model", "weights", "config", "out", "name", mode="before")
    @classmethod
    def _blank_is_none(cls, value: Any) -> Any:
        return value or None

    @model_validator(mode="after")
    def _one_subject(self) -> "OnnxOptions":
        if (self.voice is None) == (self.weights is None):
            raise ValueError("name a voice or a weights file, one of the two")
        return self


def parse_options(params: dict[str, Any]) -> OnnxOptions:
    """OnnxOptions of a mapping. Raises BadInput naming every field that is unknown or wrong."""
    return parse(OnnxOptions, params)
