"""Optimiser state as flat tensors and JSON, so that checkpoints need no pickle."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor
from torch.optim import Optimizer

from core.errors import ModelFileError


def flatten(optimiser: Optimizer, prefix: str) -> tuple[dict[str, Tensor], list[dict[str, Any]]]:
    """(tensors named PREFIX.INDEX.NAME, parameter groups) of an optimiser whose state holds tensors only (AdamW)."""
    data = optimiser.state_dict()
    tensors = {
        f"{prefix}.{index}.{name}": value for index, entry in data["state"].items() for name, value in entry.items()
    }
    return tensors, data["param_groups"]


def unflatten(optimiser: Optimizer, prefix: str, tensors: Mapping[str, Tensor], groups: list[dict[str, Any]]) -> None:
    """Put back what `flatten` took.

    Raises:
        ModelFileError: it belongs to another set of parameters.
    """
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        owner, index, name = key.split(".", 2)
        if owner == prefix:
            state.setdefault(int(index), {})[name] = value
    try:
        # Groups come from JSON, which knows no tuples.
        optimiser.load_state_dict(
            {
                "state": state,
                "param_groups": [{k: tuple(v) if k == "betas" else v for k, v in group.items()} for group in groups],
            }
        )
    except ValueError as err:
        raise ModelFileError(
            f"the optimiser state '{prefix}' does not fit: {err}", "The checkpoint is of another model."
        ) from err
