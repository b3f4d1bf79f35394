"""What a person chooses for the fine-tuning of a vocoder, and what it starts from. Light: no torch here."""

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from core.engines.sovits.convert_files import studio_vocoder, vocoder_in
from core.engines.sovits.kmeans_options import BesideOptions
from core.errors import NotFound
from core.settings import Settings


class VocoderOptions(BesideOptions):
    """Settings of a run that fine-tunes NSF-HiFi-GAN on a voice. Pitch and clips are those of a voice model, beside
    which the vocoder is put: its diffusion and its enhancer then use it."""

    unused: ClassVar[Mapping[str, str]] = {"init_from": "`base` is the vocoder to start from"}

    engine: Literal["vocoder"] = "vocoder"
    preset: Literal["finetune"] = "finetune"
    steps: int = Field(default=2000, ge=1)
    base: str = ""
    """Vocoder to start from: its file, its folder (weights and config.json), or a folder's name in pretrain; empty: the
    studio's own."""
    segment_frames: int = Field(default=0, ge=0, le=1000)
    """Frames (512 samples) of one training segment; 0: 32."""
    judge_channels: int = Field(default=1024, ge=64, le=1024, multiple_of=64)
    """Channels of the discriminators' widest layers: fewer take less memory and time, and judge less well."""


def find_base(settings: Settings, base: str) -> Path:
    """The weights of `VocoderOptions.base`; its config.json lies beside them.

    Raises:
        NotFound: a base was named and is not there, or has no config.json.
        Unavailable: none was named, and the studio has none; with how to get one.
    """
    if not base:
        return studio_vocoder(settings)
    place = Path(base).expanduser()
    if not place.is_absolute() and not place.exists():
        place = settings.pretrain_dir / base
    file = place if place.is_file() else vocoder_in(place)
    if file is None:
        raise NotFound(
            f"There is no vocoder in {place}.",
            "Name the folder with NSF-HiFi-GAN's model and config.json, or leave `base` empty for the studio's.",
            where="base",
        )
    if not file.with_name("config.json").is_file():
        raise NotFound(f"There is no config.json beside {file}.", "Put the one that came with it there.", where="base")
    return file
