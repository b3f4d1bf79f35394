"""Reading and writing generator and discriminator weights: upstream's `G_<step>.pth` and safetensors, both strict.

An upstream file is `{"model": tensors, "iteration": epoch, "optimizer": AdamW state, "learning_rate": float}`. A file
"released" by upstream's compressor lacks the posterior encoder (`enc_q.*`), which only training needs: that one
absence is allowed, and only where the caller asks for inference. Nothing else is ever filled in.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from core import atomic
from core.engines.sovits.anatomy import explain, fit_config, kind_of
from core.engines.sovits.config import SovitsConfig
from core.engines.sovits.model import SovitsGenerator, build_generator, prepare_for_inference
from core.errors import BadInput, ModelFileError
from core.models.safe_load import load_checkpoint, load_tensors, strict_load

POSTERIOR_PREFIX = "enc_q."


@dataclass(frozen=True)
class UpstreamCheckpoint:
    """The parts of an upstream training file."""

    tensors: dict[str, Tensor]
    iteration: int  # upstream counts epochs here
    learning_rate: float
    optimizer: dict[str, Any]


def read_upstream(path: Path) -> UpstreamCheckpoint:
    """Read `G_*.pth` or `D_*.pth`, tensors on the CPU. Raises ModelFileError if it is damaged or something else."""
    data = load_checkpoint(path)
    if not isinstance(data, Mapping) or not isinstance(data.get("model"), Mapping):
        raise ModelFileError(
            f"{path.name} is not a so-vits-svc checkpoint: it has no table of tensors called 'model'.",
            "Choose a G_*.pth or D_*.pth file.",
            where=str(path),
        )
    return UpstreamCheckpoint(
        tensors=dict(data["model"]),
        iteration=int(data.get("iteration") or 0),
        learning_rate=float(data.get("learning_rate") or 0.0),
        optimizer=dict(data.get("optimizer") or {}),
    )


def write_upstream(
    path: Path, module: nn.Module, *, iteration: int, learning_rate: float, optimizer: Mapping[str, Any] | None = None
) -> None:
    """Write a file that upstream resumes from, atomically. Raises NoSpace where the disk is full."""
    data = {
        "model": {name: tensor.detach().cpu() for name, tensor in module.state_dict().items()},
        "iteration": iteration,
        "optimizer": dict(optimizer) if optimizer is not None else torch.optim.AdamW(module.parameters()).state_dict(),
        "learning_rate": learning_rate,
    }
    with atomic.file(path) as temporary:
        torch.save(data, temporary)


def write_tensors(path: Path, module: nn.Module, metadata: Mapping[str, str] | None = None) -> None:
    """Write a module's tensors as safetensors, atomically, under all their names.

    Shared tensors are written once per name, because a reader of the upstream layout expects every name.
    """
    from safetensors.torch import save_file

    tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in module.state_dict().items()}
    with atomic.file(path) as temporary:
        save_file(tensors, temporary, metadata={"format": "pt", **(metadata or {})})


def load_generator(path: Path, config: SovitsConfig, *, for_inference: bool = False, device: str = "cpu") -> nn.Module:
    """A generator with the weights of `path` (.pth or .safetensors), on `device`, in float32.

    `for_inference` prepares it (`prepare_for_inference`) and accepts a released file without `enc_q`. Half-precision
    files are widened. Where a shared flow's names disagree, `flow.wn.*` wins, as upstream has it. Raises
    ModelFileError saying in words what does not fit the config, or naming missing, extra and wrong-shaped tensors and
    such that hold no numbers. `fitted_config` gives a config that does fit.
    """
    tensors = load_tensors(path)
    _check_fit(tensors, config, path)
    generator = build_generator(config)
    released = not any(name.startswith(POSTERIOR_PREFIX) for name in tensors)
    if for_inference and released and isinstance(generator, SovitsGenerator):
        generator.enc_q = None
    strict_load(generator, tensors, str(path))
    return (prepare_for_inference(generator, device) if for_inference else generator).to(device)


def shapes_of(tensors: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


def _check_fit(tensors: Mapping[str, Tensor], config: SovitsConfig, path: Path) -> None:
    """Raise ModelFileError where the file is another model than the config's."""
    shapes = shapes_of(tensors)
    lite = config.model.vocoder_name == "lite"
    if lite and kind_of(shapes) == "generator":
        raise ModelFileError(
            f"{path.name} is a so-vits-svc model, and the config beside it that of a lite model.",
            "Use the config.json that came with it.",
            where=str(path),
        )
    try:
        found = None if lite else explain(shapes, config)
        damaged = kind_of(shapes) == "generator" and found and not is_whole(shapes, fit_config(config, shapes))
    except (KeyError, BadInput):
        return  # parts are missing or make no sense: strict loading names them
    if found and not damaged:
        what, hint = found
        raise ModelFileError(f"{path.name} does not fit: {what}.", hint, where=str(path))


def is_whole(shapes: Mapping[str, tuple[int, ...]], config: SovitsConfig) -> bool:
    """Whether the shapes are those of a config's model, the posterior encoder aside."""
    with torch.device("meta"):
        wanted = shapes_of(build_generator(config).state_dict())
    return all(
        shapes.get(name) == wanted.get(name)
        for name in shapes.keys() | wanted.keys()
        if not name.startswith(POSTERIOR_PREFIX)
    )


def fitted_config(path: Path, config: SovitsConfig) -> SovitsConfig:
    """The config made to fit a generator file: the fix for most files that `load_generator` refuses.

    Raises ModelFileError if the file is no generator of so-vits-svc.
    """
    shapes = shapes_of(load_tensors(path))
    try:
        return fit_config(config, shapes)
    except KeyError as err:
        raise ModelFileError(
            f"{path.name} is no whole so-vits-svc model: it has no {err.args[0]}.",
            "Choose a G_*.pth file.",
            where=str(path),
        ) from err


def load_discriminator(path: Path, discriminator: nn.Module) -> None:
    """Put the weights of `path` into a discriminator. Raises ModelFileError naming what does not fit."""
    strict_load(discriminator, load_tensors(path), str(path))


def release(source: Path, target: Path, *, half: bool = False) -> None:
    """Write what inference needs of a generator file: without `enc_q`, in float16 if `half`.

    A `target` that ends in .pth is as upstream's compressor writes it, any other one is safetensors. Raises
    ModelFileError if `source` is no generator.
    """
    from safetensors.torch import save_file

    tensors = load_tensors(source)
    if "emb_g.weight" not in tensors:
        raise ModelFileError(
            f"{source.name} is not a so-vits-svc generator.", "Choose a G_*.pth file.", where=str(source)
        )
    kept = {
        name: (tensor.half() if half and tensor.is_floating_point() else tensor).contiguous().clone()
        for name, tensor in tensors.items()
        if not name.startswith(POSTERIOR_PREFIX)
    }
    with atomic.file(target) as temporary:
        if target.suffix.lower() == ".pth":
            fresh = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))]).state_dict()
            torch.save({"model": kept, "iteration": 0, "optimizer": fresh, "learning_rate": 1e-4}, temporary)
        else:
            save_file(kept, temporary, metadata={"format": "pt"})
