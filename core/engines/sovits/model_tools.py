"""Tools on model files: what is inside one, and a new one mixed of several.

`core.engines.sovits.checkpoint.release` makes a file small; this module never writes over its inputs.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from core import atomic
from core.engines.sovits.anatomy import ENCODERS_BY_WIDTH, differences, explain, generator_fields, kind_of
from core.engines.sovits.checkpoint import POSTERIOR_PREFIX
from core.engines.sovits.config import load_config
from core.errors import BadInput, ModelFileError
from core.models.safe_load import load_checkpoint, load_tensors

MixMode = Literal["convex", "linear"]


def model_info(path: Path, config_path: Path | None = None) -> dict[str, Any]:
    """What a weights file is, as plain data.

    Keys: file, bytes, kind, tensors, parameters (once where names share a tensor in the file), types; for a generator
    also released (without the training-only part), `architecture` (the config fields that its shapes decide),
    `encoders` (content encoders of that width), iteration and learning_rate where the file says them; with a config
    (given, or `config.json` beside it) speakers, speech_encoder, `differences` in words and `problem` (what, hint) or
    None. Raises ModelFileError if the file cannot be read, BadInput for a config that was named and is none.
    """
    tensors = load_tensors(path)
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    unique = {tensor.data_ptr(): tensor.numel() for tensor in tensors.values()}
    info: dict[str, Any] = {
        "file": path.name,
        "bytes": path.stat().st_size,
        "kind": kind_of(shapes),
        "tensors": len(tensors),
        "parameters": sum(unique.values()),
        "types": sorted({str(tensor.dtype).removeprefix("torch.") for tensor in tensors.values()}),
    }
    if info["kind"] != "generator":
        return info
    try:
        info["architecture"] = generator_fields(shapes)
    except KeyError as err:
        info["problem"] = [f"it is a damaged generator: it has no {err.args[0]}", "Get the file again."]
        return info
    info["released"] = not any(name.startswith(POSTERIOR_PREFIX) for name in shapes)
    info["encoders"] = list(ENCODERS_BY_WIDTH.get(info["architecture"]["ssl_dim"], ()))
    info |= _training(path)
    beside = path.with_name("config.json")
    if config_path is not None or beside.is_file():
        config = load_config(config_path or beside)
        problem = explain(shapes, config)
        info |= {
            "speakers": dict(config.spk),
            "speech_encoder": config.model.speech_encoder,
            "differences": [difference.words for difference in differences(shapes, config)],
            "problem": list(problem) if problem else None,
        }
    return info


def _training(path: Path) -> dict[str, Any]:
    """Epoch and learning rate, where an upstream file says them."""
    if path.suffix.lower() == ".safetensors":
        return {}
    data = load_checkpoint(path)
    known = isinstance(data, Mapping)
    return {
        name: data[name] for name in ("iteration", "learning_rate") if known and isinstance(data.get(name), int | float)
    }


def mix_shares(rates: Sequence[float], mode: MixMode) -> list[float]:
    """Shares of files from rates in percent: "convex" softmax(rate / 100), sum 1; "linear" rate / 100 as it is."""
    shares = torch.tensor([float(rate) for rate in rates], dtype=torch.float64) / 100
    return (torch.softmax(shares, dim=0) if mode == "convex" else shares).tolist()


def static_mix(parts: Sequence[tuple[Path, float]], target: Path, mode: MixMode = "convex") -> Path:
    """A model whose weights are a weighted sum of those of several files of one shape; written as safetensors.

    `parts`: (file, rate in percent). Whole numbers and the filters of snake activations are taken from the first file.
    Raises BadInput for fewer than two files or a target that is one of them, ModelFileError where they differ in shape.
    """
    from safetensors.torch import save_file

    if len(parts) < 2:
        raise BadInput("A mixture needs at least two model files.", "Choose another file.", where="files")
    if target.resolve() in {path.resolve() for path, _ in parts}:
        raise BadInput(f"{target.name} is one of the files to mix.", "Choose another name for the result.", where="out")
    total: dict[str, Tensor] = {}
    first: dict[str, Tensor] = {}
    for (path, _), share in zip(parts, mix_shares([rate for _, rate in parts], mode), strict=True):
        tensors = load_tensors(path)
        first = first or tensors
        _same_shapes(first, tensors, parts[0][0], path)
        for name, tensor in tensors.items():
            if tensor.is_floating_point() and not name.endswith(".filter"):
                # In float64, so that the order of the files does not matter to the last digit.
                total[name] = total.get(name, torch.zeros((), dtype=torch.float64)) + share * tensor.double()
    mixed = {name: total[name].to(x.dtype) if name in total else x for name, x in first.items()}
    with atomic.file(target) as temporary:
        save_file({name: x.contiguous().clone() for name, x in mixed.items()}, temporary, metadata={"format": "pt"})
    return target


def _same_shapes(first: Mapping[str, Tensor], other: Mapping[str, Tensor], first_path: Path, path: Path) -> None:
    wrong = [name for name in first.keys() | other.keys() if name not in first or name not in other]
    wrong += [name for name in first.keys() & other.keys() if first[name].shape != other[name].shape]
    if wrong:
        raise ModelFileError(
            f"{path.name} is not of the shape of {first_path.name}: {len(wrong)} tensors differ "
            f"({', '.join(sorted(wrong)[:5])}).",
            "Mix models of one size and one number of speakers only; released and whole files do not mix.",
            where=str(path),
        )
