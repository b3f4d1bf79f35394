"""Content encoders by name. Importing this costs nothing; torch comes with ``create``."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import BadInput, ModelFileError, Unavailable
from core.models import catalogue
from core.paths import REPO_ROOT
from core.settings import Settings

if TYPE_CHECKING:
    from core.features.encoders.base import ContentEncoder

__all__ = ["ENCODERS", "EncoderEntry", "EncoderInfo", "available", "create"]


@dataclass(frozen=True)
class EncoderEntry:
    """One row of the registry.

    Attributes:
        dim: C, channels of a unit.
        weights: name of the weights in the catalogue.
        make: (folder of the weights, device) -> encoder.
    """

    dim: int
    weights: str
    make: "Callable[[Path, str], ContentEncoder]"


@dataclass(frozen=True)
class EncoderInfo:
    """An encoder as a page lists it; ``why_not`` says what is missing and what to do when it is not ready."""

    name: str
    dim: int
    ready: bool
    why_not: str


def _builtin(folder: Path, device: str) -> "ContentEncoder":
    from core.features.encoders.builtin import BuiltinEncoder

    return BuiltinEncoder(folder / "encoder.safetensors", device)


def _hubert(name: str) -> "Callable[[Path, str], ContentEncoder]":
    def make(folder: Path, device: str) -> "ContentEncoder":
        from core.features.encoders.hubert import HubertEncoder

        return HubertEncoder(folder, name, device)

    return make


def _whisper(name: str) -> "Callable[[Path, str], ContentEncoder]":
    def make(folder: Path, device: str) -> "ContentEncoder":
        from core.features.encoders.whisper import WhisperEncoder

        return WhisperEncoder(folder, name, device)

    return make


def _dphubert(folder: Path, device: str) -> "ContentEncoder":
    from core.features.encoders.dphubert import DpHubert

    return DpHubert(folder, device)


def _onnx(name: str, dim: int) -> EncoderEntry:
    def make(folder: Path, device: str) -> "ContentEncoder":
        from core.features.encoders.onnx_units import OnnxEncoder

        return OnnxEncoder(folder, name, dim, device)

    return EncoderEntry(dim, name, make)


ENCODERS: dict[str, EncoderEntry] = {
    "builtin": EncoderEntry(256, "builtin", _builtin),
    "vec768l12": EncoderEntry(768, "contentvec", _hubert("vec768l12")),
    "vec256l9": EncoderEntry(256, "contentvec", _hubert("vec256l9")),
    "hubertsoft": EncoderEntry(256, "hubertsoft", _hubert("hubertsoft")),
    "whisper-ppg": EncoderEntry(1024, "whisper-ppg", _whisper("whisper-ppg")),
    "whisper-ppg-large": EncoderEntry(1280, "whisper-ppg-large", _whisper("whisper-ppg-large")),
    "cnhubertlarge": EncoderEntry(1024, "cnhubertlarge", _hubert("cnhubertlarge")),
    "dphubert": EncoderEntry(768, "dphubert", _dphubert),
    "wavlmbase+": EncoderEntry(768, "wavlmbase+", _hubert("wavlmbase+")),
    "vec768l12-onnx": _onnx("vec768l12-onnx", 768),
    "vec768l9-onnx": _onnx("vec768l9-onnx", 768),
    "vec256l9-onnx": _onnx("vec256l9-onnx", 256),
    "vec256l12-onnx": _onnx("vec256l12-onnx", 256),
    "hubertsoft-onnx": _onnx("hubertsoft-onnx", 256),
}
"""By the names that so-vits-svc's configs use; "builtin" is the studio's own."""


def create(name: str, device: str, settings: Settings) -> "ContentEncoder":
    """Load an encoder.

    Args:
        name: a key of ``ENCODERS``.
        device: ``cpu`` or ``cuda:N``.
        settings: where pretrained files lie.

    Raises:
        BadInput: unknown name.
        Unavailable: its files are not there; the hint says where to get them.
        ModelFileError: a file is damaged or does not fit, strictly checked.
    """
    if name not in ENCODERS:
        raise BadInput(f"Unknown content encoder {name!r}.", f"Use one of {', '.join(ENCODERS)}.")
    entry = ENCODERS[name]
    folder = _folder(name, entry, settings)
    encoder = entry.make(folder, device)
    if encoder.dim != entry.dim:
        raise ModelFileError(
            f"The weights in {folder} give units of {encoder.dim} channels; {name} has {entry.dim}.",
            "They belong to another model. Put the right files there.",
            where=str(folder),
        )
    return encoder


def available(settings: Settings) -> list[EncoderInfo]:
    """List the encoders, ready or not, without loading one."""
    infos = []
    for name, entry in ENCODERS.items():
        try:
            _folder(name, entry, settings)
        except Unavailable as error:
            infos.append(EncoderInfo(name, entry.dim, ready=False, why_not=str(error)))
        else:
            infos.append(EncoderInfo(name, entry.dim, ready=True, why_not=""))
    return infos


def _folder(name: str, entry: EncoderEntry, settings: Settings) -> Path:
    """Return the folder that holds the weights, or raise Unavailable with the way to get them."""
    found = catalogue.locate(settings, entry.weights)
    if found.state == "present" and found.path is not None:
        return found.path
    shipped = REPO_ROOT / "pretrain" / found.entry.folder
    if found.entry.ships and all((shipped / str(file)).is_file() for file in found.entry.files):
        return shipped  # a pretrain folder of one's own need not repeat what comes with the repository
    raise Unavailable(
        f"The content encoder {name} needs {', '.join(found.missing)} in {found.path}: about "
        f"{found.entry.size_bytes / 2**20:.0f} MB, licence {found.entry.licence}.",
        f"{found.entry.by_hand[0].upper()}{found.entry.by_hand[1:]}. The encoder 'builtin' needs no download.",
        where=str(found.path),
    )
