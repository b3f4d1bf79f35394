"""What a person chooses for a song, and how a sidecar gives it back. Light: no numpy, no torch here."""

import json
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from core.engines.sovits.convert_options import file_sha256
from core.engines.sovits.convert_options import parse_options as parse_conversion
from core.errors import BadInput, Conflict, NotFound
from core.subtitles.options import parse_options as parse

SIDECAR_FORMAT = "timbre-song-1"
OCTAVE = 12


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TrackOptions(_Strict):
    """How one of the two stems goes into the mix. At its defaults a stem goes in as it is."""

    level_db: float = Field(default=0.0, ge=-60.0, le=24.0)
    """Louder or softer, dB."""
    pan: float = Field(default=0.0, ge=-1.0, le=1.0)
    """-1 left, 1 right; at constant power, and 0 leaves both sides alone."""
    low_cut_hz: float = Field(default=0.0, ge=0.0, le=1000.0)
    """Takes away what lies below, 12 dB an octave; 0: nothing."""
    low_db: float = Field(default=0.0, ge=-24.0, le=24.0)
    """Shelf below 200 Hz, dB."""
    mid_db: float = Field(default=0.0, ge=-24.0, le=24.0)
    """Bell around 2.5 kHz, one octave and a half wide, dB: where words are understood."""
    high_db: float = Field(default=0.0, ge=-24.0, le=24.0)
    """Shelf above 8 kHz, dB."""


class MixOptions(_Strict):
    """How voice and accompaniment become one."""

    vocals: TrackOptions = TrackOptions()
    accompaniment: TrackOptions = TrackOptions()
    match_vocals: bool = True
    """First bring the converted voice to the loudness that the singer had."""
    reverb: float = Field(default=0.12, ge=0.0, le=1.0)
    """Level of the room around the voice, relative to the voice."""
    room_s: float = Field(default=1.4, ge=0.2, le=6.0)
    """Seconds in which the room dies away by 60 dB."""
    pre_delay_ms: float = Field(default=20.0, ge=0.0, le=200.0)
    """How much later than the voice the room begins."""
    offset_ms: float = Field(default=0.0, ge=-5000.0, le=5000.0)
    """Moves the voice: later, or earlier if negative."""
    loudness_lufs: float | None = Field(default=None, ge=-40.0, le=-5.0)
    """Loudness of the whole; None: as it comes."""
    ceiling_dbtp: float = Field(default=-1.0, ge=-20.0, le=0.0)
    """True peaks are kept at or below this."""


class SongOptions(_Strict):
    """Settings of one song."""

    voice: str
    """Folder name of the voice that sings."""
    source: str | None = None
    """Path of the song, to be parted here; None: the two stems are given."""
    vocals: str | None = None
    """Path of the singing alone, where it is at hand already."""
    accompaniment: str | None = None
    """Path of the rest."""
    separator: str = "auto"
    """File name of the separation model; auto: the best that is here."""
    convert: dict[str, Any] = Field(default_factory=dict)
    """Fields of ConvertOptions; "transpose" "auto" means whole octaves here, so that the voice stays in key."""
    mix: MixOptions = MixOptions()
    format: Literal["wav", "flac", "mp3"] = "wav"
    out: str | None = None
    """Path of the result; None: a new name in the workspace's outputs."""

    @field_validator("source", "vocals", "accompaniment", "out", mode="before")
    @classmethod
    def _blank_is_none(cls, value: Any) -> Any:
        return value or None

    @field_validator("convert")
    @classmethod
    def _ours_are_not_theirs(cls, value: dict[str, Any]) -> dict[str, Any]:
        taken = sorted({"voice", "source", "out", "format"} & value.keys())
        if taken:
            raise ValueError(f"{', '.join(taken)}: the song decides this itself")
        return value

    @model_validator(mode="after")
    def _one_source(self) -> "SongOptions":
        stems = (self.vocals, self.accompaniment)
        if (self.source is None) != all(stems) or (self.source is not None and any(stems)):
            raise ValueError("name a song to be parted, or both its vocals and its accompaniment")
        return self


def parse_options(params: dict[str, Any]) -> SongOptions:
    """SongOptions of a mapping; those of the conversion are checked too.

    Raises:
        BadInput: naming every field that is unknown, missing or out of range.
    """
    options = parse(SongOptions, params)
    parse_conversion({"voice": options.voice, "source": "-", **options.convert})
    return options


def options_from_sidecar(path: Path) -> dict[str, Any]:
    """Params for `run_song` that repeat a song (to a new file: "out" is left out).

    Raises:
        NotFound: no such sidecar, or a file or model it names is gone.
        BadInput: the file is no sidecar of a song.
        Conflict: a file or the model has changed since, so the result would be another.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as err:
        raise NotFound(f"There is no file {path}.", "Choose the .json beside a song.", where=str(path)) from err
    except (ValueError, OSError) as err:
        raise BadInput(f"{path.name} cannot be read: {err}", "Choose the .json beside a song.") from err
    if not isinstance(data, dict) or data.get("format") != SIDECAR_FORMAT:
        raise BadInput(f"{path.name} is not the sidecar of a song.", "Choose the .json beside a song.")
    options = parse_options(data["options"])
    for name, sha256 in data["files"].items():
        _same(Path(str(getattr(options, name))), sha256, name)
    _same(Path(str(options.convert["model"])) / "model.safetensors", data["model_sha256"], "voice model")
    return {**options.model_dump(), "out": None}


def _same(path: Path, sha256: str, what: str) -> None:
    if not path.is_file():
        raise NotFound(f"The {what} {path} is gone.", "Put it back where it was.", where=str(path))
    if file_sha256(path) != sha256:
        raise Conflict(f"The {what} {path} has changed since that song.", "Make a new song.", where=str(path))
