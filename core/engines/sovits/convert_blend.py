"""The units that a conversion's content is drawn towards: k-means centres, or a bank of the voice's own units.

Files: so-vits-svc's `kmeans_10000.pt` ({speaker: {"cluster_centers_": [K, C]}}), or safetensors with one table [K, C]
a speaker, under the speaker's name or id. A file with one table serves every speaker.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from core.engines.sovits.retrieval import blend_centres, blend_neighbours
from core.errors import ModelFileError
from core.models.safe_load import check_numbers, load_checkpoint, load_tensors


@dataclass(frozen=True)
class Blend:
    """Draws units towards a bank [K, C] of one speaker."""

    bank: Tensor
    share: float
    by: Literal["kmeans", "retrieval"]

    def __call__(self, units: Tensor) -> Tensor:
        """Units [T, C] on the generator's frames, blended."""
        mix = blend_centres if self.by == "kmeans" else blend_neighbours
        return mix(units.to(self.bank.device), self.bank, self.share).to(units.device)


def load_bank(path: Path, speaker: str, row: int, dim: int) -> Tensor:
    """The table [K, C] of a speaker (its name, or its row in the model), float32 on the CPU.

    Raises ModelFileError: the file cannot be read, is a pickle of faiss, lacks the speaker, or holds units of another
    width than `dim`.
    """
    if path.suffix.lower() in (".pkl", ".pickle", ".index"):
        raise ModelFileError(
            f"{path.name} is a faiss index in a form that could run code while loading.",
            "Convert it first (`app.py models index`, or the Models page), and choose the result.",
            where=str(path),
        )
    tables = load_tensors(path) if path.suffix.lower() == ".safetensors" else _centres(load_checkpoint(path), path)
    names = [name for name in (speaker, str(row)) if name in tables]
    if names:
        bank = tables[names[0]]
    elif len(tables) == 1:
        bank = next(iter(tables.values()))
    else:
        raise ModelFileError(
            f"{path.name} knows nothing of the speaker '{speaker}'; it has {', '.join(list(tables)[:8])}.",
            "Choose the file that was made with this model.",
            where=str(path),
        )
    if bank.dim() != 2 or bank.shape[1] != dim:
        raise ModelFileError(
            f"{path.name} holds units of shape {list(bank.shape)}, the model's are {dim} wide.",
            "It was made for another content encoder. Choose the file that was made with this model.",
            where=str(path),
        )
    check_numbers({speaker: bank}, str(path))
    return bank.float().contiguous()


def _centres(data: Any, path: Path) -> dict[str, Tensor]:
    """Tables by speaker of a k-means file."""
    tables: dict[str, Tensor] = {}
    for name, value in data.items() if isinstance(data, Mapping) else ():
        centres = value.get("cluster_centers_") if isinstance(value, Mapping) else value
        if centres is not None and hasattr(centres, "shape"):
            tables[str(name)] = torch.as_tensor(centres)
    if not tables:
        raise ModelFileError(
            f"{path.name} is no k-means file of so-vits-svc.", "Choose kmeans_*.pt or a .safetensors.", where=str(path)
        )
    return tables
