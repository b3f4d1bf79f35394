"""What a person chooses for a conversion, and how a sidecar gives it back. Light: no torch here."""

import hashlib
import json
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from core.errors import BadInput, Conflict, NotFound
from core.options import parse

SIDECAR_FORMAT = "timbre-conversion-1"


Sampler = Literal["naive", "ddim", "pndm", "dpm-solver", "dpm-solver++", "unipc"]
Shares = dict[str, float | list[tuple[float, float]]]
"""Of each speaker: a share, or its course as (time, share) points; see `mix_curves`."""


class ConvertOptions(BaseModel):
    """Settings of one conversion. Which flag of so-vits-svc 4.1 a field stands for: `convert_upstream`."""

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
    speaker_mix: str | Shares | None = None
    """Several speakers at once: shares, or the path of a file (`mix_curves.read_mix`); takes the place of `speaker`."""
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
    """Longer passages are cut where they are quietest, so that memory does not grow with them."""
    clip_s: float = Field(default=0.0, ge=0.0, le=120.0)
    """Cut passages every so many seconds instead, wherever that falls; 0: do not."""
    crossfade_s: float = Field(default=0.0, ge=0.0, le=30.0)
    """What a piece of `clip_s` repeats of the one before it."""
    crossfade_keep: float = Field(default=0.75, gt=0.0, le=1.0)
    """Share of `crossfade_s` that is faded over; what is left of it at both ends is thrown away."""
    pitch: str = "fcpe"
    """Pitch predictor, a name of core.features.pitch."""
    f0_threshold: float | None = Field(default=None, ge=0.0, le=1.0)
    """Least confidence of a voiced frame (rmvpe, fcpe, crepe); None: the predictor's own, 0.05 for rmvpe and fcpe."""
    f0_file: str | None = None
    """Path of a pitch track of the source (`pitch_track.read_track`), in place of a predictor."""
    blend: float = Field(default=0.0, ge=0.0, le=1.0)
    """How far the content is drawn towards the training voice's: clearer likeness, less clear words."""
    blend_by: Literal["kmeans", "retrieval"] = "kmeans"
    """What towards: the nearest k-means centre, or a mean of the nearest of the voice's own units."""
    blend_file: str | None = None
    """File of centres or units; None: the one beside the model."""
    diffusion: Literal["off", "shallow", "only"] = "off"
    """"shallow": a diffusion model refines what the voice model made; "only": it makes all, without the voice model."""
    diffusion_model: str | None = None
    """File of the diffusion model (model_*.pt); None: the one beside the voice model."""
    diffusion_config: str | None = None
    """Its config.yaml; None: the one beside it."""
    k_step: int = Field(default=100, ge=1, le=1000)
    """Shallow diffusion: how many steps back to noise it starts; more changes more."""
    sampler: Sampler | None = None
    """The way through the steps; None: what the diffusion model's config names."""
    speedup: int | None = Field(default=None, ge=1, le=1000)
    """Steps taken at once; 1 takes each with fresh noise (slow); None: what the diffusion model's config says."""
    second_encoding: bool = False
    """Shallow diffusion: hear the content again in what the voice model made."""
    vocoder: str | None = None
    """NSF-HiFi-GAN file, for diffusion and the enhancer; None: the studio's (pretrain/nsf_hifigan)."""
    enhance: bool = False
    """Make the result again by the NSF-HiFi-GAN vocoder: for voices trained on little. Not with diffusion."""
    enhancer_key: float = Field(default=0.0, ge=-24.0, le=24.0)
    """Semitones that the enhancer hears it lower, for voices above what it was trained on."""
    loudness_envelope: float = Field(default=1.0, ge=0.0, le=1.0)
    """1: the voice's own loudness over time; 0: the source's; between: a mixture."""
    format: Literal["wav", "flac", "mp3"] = "wav"
    out: str | None = None
    """Path of the result; None: a new name in the workspace's outputs."""

    @field_validator(
        *("model", "out", "speaker_mix", "f0_file", "blend_file", "vocoder"),
        *("diffusion_model", "diffusion_config", "sampler", "speaker"),
        mode="before",
    )
    @classmethod
    def _blank_is_none(cls, value: Any) -> Any:
        return None if value in ("", {}) else value

    @model_validator(mode="after")
    def _fit_together(self) -> "ConvertOptions":
        if self.enhance and self.diffusion != "off":
            raise ValueError("enhance and diffusion do not go together: diffusion ends in the same vocoder")
        if self.second_encoding and self.diffusion != "shallow":
            raise ValueError("second_encoding needs diffusion 'shallow'")
        if self.predict_f0 and self.diffusion == "only":
            raise ValueError("predict_f0 needs the voice model, which diffusion 'only' leaves out")
        if self.clip_s and self.crossfade_s >= self.clip_s:
            raise ValueError("crossfade_s must be shorter than clip_s")
        return self

    @property
    def needs_vocoder(self) -> bool:
        """Whether NSF-HiFi-GAN has a part in it."""
        return self.enhance or self.diffusion != "off"


def parse_options(params: dict[str, Any]) -> ConvertOptions:
    """ConvertOptions of a mapping.

    Raises:
        BadInput: naming every field that is unknown, missing or out of range.
    """
    return parse(ConvertOptions, params, "conversion options")


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
    for name, sha256 in data.get("files", {}).items():
        _same(Path(str(getattr(options, name))), sha256, name.replace("_", " "))
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
