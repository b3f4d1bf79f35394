"""What a person chooses for a conversion, and how a sidecar gives it back. Light: no torch here."""

import hashlib
import json
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from core.errors import BadInput, Conflict, NotFound

SIDECAR_FORMAT = "timbre-conversion-1"


class ConvertOptions(BaseModel):
    """Settings of one conversion."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    voice: str
    """Folder name of the voice."""
    source: str
    """Path of the recording to convert; any container and codec that the studio reads."""
    model: str | None = None
    """A model of the voice (folder name or path); None: the newest."""
    transpose: float | Literal["auto"] = 0.0
    """Semitones; "auto": from the medians of the source's pitch and the voice's."""
    speaker: str | int | None = None
    """Name or id, for models of several speakers; None: the first."""
    noise_scale: float = Field(default=0.4, ge=0.0, le=2.0)
    """Randomness of the latent (so-vits-svc models; `lite` has none)."""
    predict_f0: bool = False
    """Let the model make the melody (speech only, models with automatic pitch)."""
    seed: int = Field(default=52468, ge=0, lt=2**62)
    """Slice number i draws from seed + i."""
    slice_db: float = Field(default=-40.0, ge=-120.0, le=0.0)
    """RMS level (dBFS) below which a passage is silence and becomes zeros."""
    pad_s: float = Field(default=0.5, ge=0.0, le=5.0)
    """Context at each side of a slice, rendered and thrown away."""
    max_slice_s: float = Field(default=30.0, ge=2.0, le=120.0)
    """Longer passages are rendered in pieces, so that memory does not grow with them."""
    pitch: str = "fcpe"
    """Pitch predictor, a name of core.features.pitch."""
    loudness_envelope: float = Field(default=1.0, ge=0.0, le=1.0)
    """1: the voice's own loudness over time; 0: the source's; between: a mixture."""
    format: Literal["wav", "flac", "mp3"] = "wav"
    out: str | None = None
    """Path of the result; None: a new name in the workspace's outputs."""

    @field_validator("model", "out", mode="before")
    @classmethod
    def _blank_is_none(cls, value: Any) -> Any:
        return value or None


def parse_options(params: dict[str, Any]) -> ConvertOptions:
    """ConvertOptions of a mapping.

    Raises:
        BadInput: naming every field that is unknown, missing or out of range.
    """
    try:
        return ConvertOptions.model_validate(params)
    except ValidationError as err:
        lines = [f"{'.'.join(str(p) for p in e['loc'])}: {e['msg']}" for e in err.errors()]
        raise BadInput("conversion options: " + "; ".join(lines), "Correct the named options.") from err


def sidecar_of(output: Path) -> Path:
    """The JSON file beside a result: song.wav -> song.wav.json."""
    return output.with_name(output.name + ".json")


def options_from_sidecar(path: Path) -> dict[str, Any]:
    """Params for `run_convert` that repeat a conversion (to a new file: "out" is left out).

    Raises:
        NotFound: no such sidecar, or the source or model it names is gone.
        BadInput: the file is no sidecar of ours.
        Conflict: the source or the model has changed since, so the result would be another.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as err:
        raise NotFound(
            f"There is no file {path}.", "Choose the .json beside a converted file.", where=str(path)
        ) from err
    except (ValueError, OSError) as err:
        raise BadInput(f"{path.name} cannot be read: {err}", "Choose the .json beside a converted file.") from err
    if not isinstance(data, dict) or data.get("format") != SIDECAR_FORMAT:
        raise BadInput(f"{path.name} is not the sidecar of a conversion.", "Choose the .json beside a converted file.")
    options = parse_options(data["options"])
    _same(Path(options.source), data["source"]["sha256"], "recording")
    _same(Path(str(options.model)) / "model.safetensors", data["model"]["sha256"], "voice model")
    return {**options.model_dump(), "out": None}


def file_sha256(path: Path) -> str:
    """Hex sha256 of a file, read in blocks."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _same(path: Path, sha256: str, what: str) -> None:
    if not path.is_file():
        raise NotFound(f"The {what} {path} is gone.", "Put it back where it was.", where=str(path))
    if file_sha256(path) != sha256:
        raise Conflict(
            f"The {what} {path} has changed since that conversion.", "Start a new conversion.", where=str(path)
        )
