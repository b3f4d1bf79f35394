"""Content encoders by name. Importing this costs nothing; torch comes with ``create``."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.errors import BadInput, Unavailable
from core.settings import Settings

if TYPE_CHECKING:
    from core.features.encoders.base import ContentEncoder

__all__ = ["ENCODERS", "EncoderInfo", "available", "create"]


@dataclass(frozen=True)
class EncoderEntry:
    """One row of the registry.

    Attributes:
        dim: C, channels of a unit.
        make: (device, settings) -> encoder.
        check: raises Unavailable, saying what to do, if the encoder's files are not there.
    """

    dim: int
    make: "Callable[[str, Settings], ContentEncoder]"
    check: Callable[[Settings], None]


@dataclass(frozen=True)
class EncoderInfo:
    """An encoder as a page lists it; ``why_not`` says what is missing when it is not ready."""

    name: str
    dim: int
    ready: bool
    why_not: str


def _builtin(device: str, settings: Settings) -> "ContentEncoder":
    from core.features.encoders.builtin import BuiltinEncoder

    return BuiltinEncoder(settings.pretrain_dir / "builtin", device)


def _check_builtin(settings: Settings) -> None:
    folder = settings.pretrain_dir / "builtin"
    if not (folder / "encoder.safetensors").is_file():
        raise Unavailable(
            f"The built-in encoder is missing in {folder}.",
            "It ships with the studio: copy pretrain/builtin from the repository there.",
            where=str(folder),
        )


ENCODERS: dict[str, EncoderEntry] = {"builtin": EncoderEntry(200, _builtin, _check_builtin)}


def create(name: str, device: str, settings: Settings) -> "ContentEncoder":
    """Load an encoder.

    Args:
        name: a key of ``ENCODERS``.
        device: ``cpu`` or ``cuda:N``.
        settings: where pretrained files lie.

    Raises:
        BadInput: unknown name.
        Unavailable: its files are not there; the hint says where to get them.
        ModelFileError: a file does not fit, strictly checked.
    """
    if name not in ENCODERS:
        raise BadInput(f"Unknown content encoder {name!r}.", f"Use one of {', '.join(ENCODERS)}.")
    entry = ENCODERS[name]
    entry.check(settings)
    return entry.make(device, settings)


def available(settings: Settings) -> list[EncoderInfo]:
    """List the encoders, ready or not, without loading one."""
    infos = []
    for name, entry in ENCODERS.items():
        try:
            entry.check(settings)
        except Unavailable as error:
            infos.append(EncoderInfo(name, entry.dim, ready=False, why_not=str(error)))
        else:
            infos.append(EncoderInfo(name, entry.dim, ready=True, why_not=""))
    return infos
