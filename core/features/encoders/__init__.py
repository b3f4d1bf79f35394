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


def _vec768l12(folder: Path, device: str) -> "ContentEncoder":
    from core.features.encoders.contentvec import ContentVec

    return ContentVec(folder, "vec768l12", device)


def _vec256l9(folder: Path, device: str) -> "ContentEncoder":
    from core.features.encoders.contentvec import ContentVec

    return ContentVec(folder, "vec256l9", device)


ENCODERS: dict[str, EncoderEntry] = {
    "builtin": EncoderEntry(256, "builtin", _builtin),
    "vec768l12": EncoderEntry(768, "contentvec", _vec768l12),
    "vec256l9": EncoderEntry(256, "contentvec", _vec256l9),
}


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
