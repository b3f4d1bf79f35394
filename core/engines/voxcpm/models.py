"""Where VoxCPM models lie: any folder, the catalogue's, and those trained for a voice. Light."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import NotFound, Unavailable
from core.models.entry import CatalogueEntry, locate_in
from core.settings import Settings

if TYPE_CHECKING:
    from core.dataset.voices import Voice

_GB = 1024**3
_FILES: tuple[str | tuple[str, ...], ...] = (
    "config.json",
    ("model.safetensors", "pytorch_model.bin"),
    ("audiovae.safetensors", "audiovae.pth"),
    ("tokenizer.json", "tokenizer.model"),
)


def _entry(name: str, title: str, size_bytes: int, words: str) -> CatalogueEntry:
    return CatalogueEntry(
        name=name,
        purpose=f"text to speech with a cloned voice: {words}",
        size_bytes=size_bytes,
        licence="Apache-2.0",
        folder=f"voxcpm/{name}",
        files=_FILES,
        origin=f"{title} by OpenBMB",
        by_hand=(
            f"on a machine with a connection, download {title} and copy config.json, model.safetensors (or "
            f"pytorch_model.bin), audiovae.pth and the tokenizer's files into pretrain/voxcpm/{name}"
        ),
    )


MODELS: tuple[CatalogueEntry, ...] = (
    _entry(
        "voxcpm2", "VoxCPM2", 5 * _GB, "30 languages, 48 kHz, reference clips without transcript; 8 GB of GPU memory"
    ),
    _entry("voxcpm1.5", "VoxCPM1.5", 2 * _GB, "Chinese and English, 44.1 kHz; 6 GB of GPU memory"),
    _entry("voxcpm-0.5b", "VoxCPM-0.5B", int(1.6 * _GB), "Chinese and English, 16 kHz; 5 GB of GPU memory"),
)
"""Best first."""


def find_model(settings: Settings, model: str = "", voice: "Voice | None" = None) -> Path:
    """The folder of a model: a path, one trained for a voice, or a name of the catalogue; empty: the best that is here.

    Raises NotFound for a name that is none of these, Unavailable for a model that was not brought here yet.
    """
    folder = Path(model).expanduser()
    if model and folder.is_dir():
        return folder
    trained = _trained(settings, model, voice) if model else None
    if trained is not None:
        return trained
    known = {one.name: one for one in MODELS}
    if model.lower() in known:
        return _present(settings, known[model.lower()])
    if not model:
        here = [one for one in MODELS if not locate_in(settings.pretrain_dir / one.folder, one)]
        return _present(settings, (here or [MODELS[-1]])[0])
    raise NotFound(
        f"There is no VoxCPM model {model!r}: neither a folder, nor one that was trained here, nor a known name.",
        f"Give the folder of a model, or one of {', '.join(known)}.",
        where="model",
    )


def _trained(settings: Settings, name: str, voice: "Voice | None") -> Path | None:
    """A fine-tuned model or LoRA by its name: of `voice`, or else of any voice."""
    from core.dataset.voices import VoiceStore

    if Path(name).name != name:
        return None
    voices = [voice] if voice is not None else VoiceStore(settings.voices_dir).list()
    for one in voices:
        folder = one.models / name
        if any((folder / file).is_file() for file in ("config.json", "lora_config.json")) and _speaks(folder):
            return folder
    return None


def _speaks(folder: Path) -> bool:
    """Whether a folder holds a model of this engine, and not one for conversion."""
    try:
        card = json.loads((folder / "card.json").read_text("utf-8"))
    except (OSError, ValueError):
        return True  # a model that was copied there by hand; loading it will tell
    return isinstance(card, dict) and card.get("engine") == "voxcpm"


def _present(settings: Settings, one: CatalogueEntry) -> Path:
    folder = settings.pretrain_dir / one.folder
    missing = locate_in(folder, one)
    if missing:
        raise Unavailable(
            f"{one.name} is not on this machine: {folder} lacks {', '.join(missing)}.",
            f"To bring it here: {one.by_hand}.",
            where=str(folder),
        )
    return folder
