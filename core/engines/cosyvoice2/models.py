"""Where CosyVoice models lie: any folder, and the catalogue's. Light."""

import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import NotFound, Unavailable
from core.models.entry import CatalogueEntry, locate_in
from core.settings import Settings

if TYPE_CHECKING:
    from core.dataset.voices import Voice

_GB = 1024**3
_TEXT_FILES = ("CosyVoice-BlankEN/config.json", "CosyVoice-BlankEN/vocab.json", "CosyVoice-BlankEN/merges.txt")
_WEIGHTS = ("llm.pt", "flow.pt", "hift.pt", "campplus.onnx")

_TENSORS = (
    *(f"torch._utils._rebuild_{kind}" for kind in ("tensor", "tensor_v2", "parameter")),
    *(f"torch.{kind}Storage" for kind in ("Float", "Double", "Half", "BFloat16", "Long", "Int", "Short", "Bool")),
)


def _entry(name: str, title: str, settings_file: str, tokenizer: str, size_bytes: int) -> CatalogueEntry:
    return CatalogueEntry(
        name=name,
        purpose="text to speech with a cloned voice, streamed while the text arrives: Chinese, English and others",
        size_bytes=size_bytes,
        licence="see the model's card",
        folder=f"cosyvoice/{name}",
        files=((settings_file, "cosyvoice.yaml"), *_WEIGHTS, tokenizer, *_TEXT_FILES),
        origin=f"{title} by FunAudioLLM",
        by_hand=(
            f"on a machine with a connection, download {title} and copy its whole folder to pretrain/cosyvoice/{name}"
        ),
    )


MODELS: tuple[CatalogueEntry, ...] = (
    _entry("cosyvoice2-0.5b", "CosyVoice2-0.5B", "cosyvoice2.yaml", "speech_tokenizer_v2.onnx", 5 * _GB),
    _entry("fun-cosyvoice3-0.5b", "Fun-CosyVoice3-0.5B", "cosyvoice3.yaml", "speech_tokenizer_v3.onnx", 6 * _GB),
)


def find_model(settings: Settings, model: str = "", voice: "Voice | None" = None) -> Path:
    """The folder of a model: a path or a name of the catalogue; empty: the first that is here.

    Raises NotFound for a name that is none of these, Unavailable for a model that was not brought here yet.
    """
    folder = Path(model).expanduser()
    if model and folder.is_dir():
        return folder
    known = {one.name: one for one in MODELS}
    if model and model.lower() not in known:
        raise NotFound(
            f"There is no CosyVoice model {model!r}: neither a folder nor a known name.",
            f"Give the folder of a model, or one of {', '.join(known)}.",
            where="model",
        )
    wanted = (known[model.lower()],) if model else MODELS
    for one in wanted:
        if not locate_in(settings.pretrain_dir / one.folder, one):
            return settings.pretrain_dir / one.folder
    place = settings.pretrain_dir / wanted[0].folder
    raise Unavailable(
        f"{wanted[0].name} is not on this machine: {place} lacks {', '.join(locate_in(place, wanted[0]))}.",
        f"To bring it here: {wanted[0].by_hand}.",
        where=str(place),
    )


def preset_names(folder: Path) -> list[str]:
    """Names of a model's own voices, without loading it; none where there are none or they cannot be read."""
    from core.models.restricted_pickle import Reader, Refused

    try:
        with zipfile.ZipFile(folder / "spk2info.pt") as archive:
            (table,) = (name for name in archive.namelist() if name.endswith("data.pkl"))
            data = archive.read(table)
        voices = Reader(lambda _: None, dict.fromkeys(_TENSORS, lambda *_: None)).read(data)
    except (OSError, ValueError, KeyError, IndexError, TypeError, zipfile.BadZipFile, Refused):
        return []
    return [str(name) for name in voices] if isinstance(voices, dict) else []
