"""What a file of so-vits-svc is, told before any of it is used: its kind, what it is made for, what is wrong with it.

Files are read as data (`core.models.safe_load`); networks are built on torch's meta device, for their shapes only.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Literal, cast

import torch
import yaml
from torch import Tensor

from core.engines.sovits.anatomy import ENCODERS_BY_WIDTH, Shapes, generator_fields, kind_of
from core.engines.sovits.checkpoint import POSTERIOR_PREFIX, is_whole, shapes_of
from core.engines.sovits.config import SovitsConfig, load_config
from core.engines.sovits.import_config import fitted
from core.errors import BadInput, StudioError
from core.models import encoder_import, faiss_file
from core.models.safe_load import check_numbers, load_checkpoint, load_tensors, tensors_of

FoundKind = Literal[
    "generator", "discriminator", "diffusion", "vocoder", "rmvpe", "kmeans", "index", "encoder",
    "config", "diffusion-config", "vocoder-config", "other", "damaged",
]  # fmt: skip
_WEIGHTS = {".pth", ".pt", ".ckpt", ".bin", ".safetensors"}
_INDEXES = {".pkl", ".pickle", ".index"}
# Features that so-vits-svc keeps beside clips: they belong to a data set, not to a model.
_FEATURES = re.compile(r".*\.(soft|spec|data)\.pt")
_WORDS: dict[str, str] = {
    "discriminator": "discriminator of a training (D_*.pth): only training goes on from it",
    "rmvpe": "RMVPE, a pitch predictor",
    "vocoder": "NSF-HiFi-GAN, the vocoder of diffusion and the enhancer",
}


@dataclass(frozen=True)
class Found:
    """One file, as it was found.

    Attributes:
        path: where it lies.
        name: as a person knows it: below what was given.
        kind: what it is.
        says: the same in words.
        problem: what is wrong; empty where nothing is.
        fix: what can be done, or what the import does about it.
        usable: False where the import leaves it out because of the problem.
        facts: what pairing files needs: "width" of units, "speakers", "step", "name" of an encoder.
    """

    path: Path
    name: str
    kind: FoundKind
    says: str
    problem: str = ""
    fix: str = ""
    usable: bool = True
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def folder(self) -> PurePosixPath:
        """Where it lies below what was given; files given one by one lie together."""
        return PurePosixPath(self.name).parent


def look(path: Path, name: str) -> Found | None:
    """What the file `path`, called `name` to a person, is; None where it is no kind of model file. Never raises for
    what a file holds: a file that cannot be used is `damaged` and says why."""
    try:
        return _look(path, name)
    except StudioError as err:
        return Found(path, name, "damaged", "cannot be used", err.message, err.hint, usable=False)


def _look(path: Path, name: str) -> Found | None:
    suffix = path.suffix.lower()
    if suffix == ".json":
        return _json(path, name)
    if suffix in (".yaml", ".yml"):
        return _yaml(path, name)
    if suffix in _INDEXES:
        return _index(path, name)
    if suffix == ".onnx":
        return _onnx(path, name)
    if (suffix in _WEIGHTS and not _FEATURES.fullmatch(path.name)) or path.name == "model":
        return _weights(path, name)
    return None


def _json(path: Path, name: str) -> Found | None:
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raw = None
    if path.name == "config.json" and not isinstance(raw, dict):
        raise BadInput(f"{name} is not JSON.", "Use the config.json that was saved beside the model.")
    if not isinstance(raw, dict):
        return None
    if "model" in raw and "spk" in raw:
        config = load_config(path)
        speakers = ", ".join(list(config.spk)[:8]) + (" …" if len(config.spk) > 8 else "")
        says = f"config of a voice model for {config.model.speech_encoder}; speakers: {speakers}"
        return Found(path, name, "config", says, facts={"speakers": list(config.spk)})
    if "num_mels" in raw and "upsample_rates" in raw:
        from core.engines.sovits.vocoder import parse_vocoder_config

        parse_vocoder_config(raw, name)
        return Found(path, name, "vocoder-config", "config of the vocoder NSF-HiFi-GAN")
    return None


def _yaml(path: Path, name: str) -> Found | None:
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as err:
        said = " ".join(str(err).split())[:160]
        raise BadInput(
            f"{name} is not plain YAML: {said}.", "Use the diffusion.yaml that came with the model."
        ) from err
    if not isinstance(raw, dict) or not isinstance(raw.get("model"), dict) or "infer" not in raw:
        return None
    from core.engines.sovits.convert_diffusion import read_config

    read_config(path)
    return Found(path, name, "diffusion-config", "config of a diffusion model")


def _index(path: Path, name: str) -> Found:
    banks = faiss_file.read_banks(path)
    total, width = sum(len(bank) for bank in banks.values()), next(iter(banks.values())).shape[1]
    says = f"retrieval index: {total} units of {width} values, {len(banks)} speaker(s)"
    return Found(path, name, "index", says, facts={"width": width, "speakers": list(banks)})


def _onnx(path: Path, name: str) -> Found:
    encoder = encoder_import.onnx_name(path)
    if encoder is None:
        return Found(
            path, name, "other", "an ONNX file of another kind", "The studio does not know what it is for.",
            "Content encoders are called like vec-768-layer-12.onnx.", usable=False,
        )  # fmt: skip
    return Found(path, name, "encoder", f"content encoder {encoder} (by its name)", facts={"name": encoder})


def _weights(path: Path, name: str) -> Found:
    if path.suffix.lower() == ".safetensors":
        tensors = load_tensors(path)
    else:
        data = load_checkpoint(path)
        if centres := _centres(data):
            width = next(iter(centres.values()))
            says = f"k-means centres of {len(centres)} speaker(s): {', '.join(list(centres)[:8])}"
            return Found(path, name, "kmeans", says, facts={"width": width, "speakers": list(centres)})
        original = encoder_import.recognise(data, path)
        if original is not None:
            return Found(path, name, "encoder", f"content encoder {original.name}", facts={"name": original.name})
        tensors = tensors_of(data, path)
    shapes = shapes_of(tensors)
    kind = kind_of(shapes)
    if kind in ("lite", "other"):
        return Found(
            path, name, "other", "weights of another program", "It is no file of so-vits-svc 4.0 or 4.1 that the "
            "studio knows.", "Choose G_*.pth, and what lies beside it.", usable=False,
        )  # fmt: skip
    check_numbers(tensors, str(path))
    if kind == "generator":
        return _generator(path, name, tensors)
    if kind == "diffusion":
        return _diffusion(path, name, tensors)
    return Found(path, name, cast(FoundKind, kind), _WORDS[kind], facts={"step": _step(path)})


def _centres(data: Any) -> dict[str, int]:
    """Width of the centres by speaker; empty where the data is no k-means file."""
    found: dict[str, int] = {}
    for speaker, value in data.items() if isinstance(data, Mapping) else ():
        centres = value.get("cluster_centers_") if isinstance(value, Mapping) else None
        if centres is not None and getattr(centres, "ndim", 0) == 2:
            found[str(speaker)] = int(centres.shape[1])
    return found


def _generator(path: Path, name: str, tensors: Mapping[str, Tensor]) -> Found:
    shapes = shapes_of(dict(tensors))
    try:
        fields = generator_fields(shapes)
        config = fitted(None, shapes)
    except (KeyError, ZeroDivisionError, IndexError, ValueError) as err:
        raise BadInput(f"{name} is a damaged voice model: it has no {err}.", "Get the file again.") from err
    if not is_whole(shapes, config):
        raise BadInput(
            f"{name} is a damaged voice model: {_what_differs(shapes, config)}.", "Get the file again.", where=name
        )
    width = fields["ssl_dim"]
    encoders = " or ".join(ENCODERS_BY_WIDTH.get(width, ())) or "an unknown encoder"
    released = not any(one.startswith(POSTERIOR_PREFIX) for one in shapes)
    half = any(x.dtype == torch.float16 for x in tensors.values())
    parts = [
        f"voice model of so-vits-svc {'4.0 or 4.1' if width == 256 else '4.1'}",
        f"units of {width} values ({encoders})",
        f"{fields['n_speakers']} speaker rows",
        *(["compressed: to convert with, not to train on"] if released else []),
        *(["half precision"] if half else []),
    ]
    facts = {"width": width, "rows": fields["n_speakers"], "step": _step(path), "shapes": shapes}
    return Found(path, name, "generator", "; ".join(parts), facts=facts)


def _what_differs(shapes: Shapes, config: SovitsConfig) -> str:
    """The first tensors that are missing or of the wrong shape, in words."""
    from core.engines.sovits.model import build_generator

    with torch.device("meta"):
        wanted = shapes_of(build_generator(config).state_dict())
    found = [
        f"{one} is {'missing' if one not in shapes else f'{list(shapes[one])} instead of {list(size)}'}"
        for one, size in wanted.items()
        if shapes.get(one) != size and not one.startswith(POSTERIOR_PREFIX)
    ]
    found += [f"{one} is not part of it" for one in shapes.keys() - wanted.keys()]
    return "; ".join(found[:4]) + (f"; and {len(found) - 4} more" if len(found) > 4 else "")


def _diffusion(path: Path, name: str, tensors: dict[str, Tensor]) -> Found:
    from core.engines.sovits.convert_diffusion import DiffusionConfig, sizes_of
    from core.engines.sovits.diffusion.model import Unit2Mel

    sizes = sizes_of(tensors, DiffusionConfig(), name)
    with torch.device("meta"):
        wanted = shapes_of(Unit2Mel(sizes).state_dict())
    wrong = [one for one in wanted.keys() | tensors.keys() if shapes_of(tensors).get(one) != wanted.get(one)]
    if wrong:
        raise BadInput(
            f"{name} is a damaged diffusion model: {len(wrong)} tensors do not fit ({', '.join(sorted(wrong)[:4])}).",
            "Get the file again.",
        )
    says = f"diffusion model for units of {sizes.n_units} values, {sizes.n_speakers} speaker(s)"
    return Found(path, name, "diffusion", says, facts={"width": sizes.n_units, "step": _step(path)})


def _step(path: Path) -> int:
    """The number in a name such as G_37600.pth or model_24000.pt; -1 where there is none."""
    numbers = re.findall(r"\d+", path.stem)
    return int(numbers[-1]) if numbers else -1
