"""AdamW with a state of two bytes a weight (Dettmers et al., ICLR 2022), by the package bitsandbytes where it is."""

import importlib.util
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from core.errors import Unavailable

if TYPE_CHECKING:
    import torch
    from torch import nn
    from torch.optim import Optimizer


def why_not(on_gpu: bool) -> str:
    """Why there is no such optimiser here; empty if there is. Imports nothing."""
    if not on_gpu:
        return "8-bit optimisers need an NVIDIA GPU"
    if importlib.util.find_spec("bitsandbytes") is None:
        return "the package bitsandbytes is not installed (pip install bitsandbytes)"
    return ""


def eight_bit_adamw(
    parameters: "Iterable[nn.Parameter]",
    learning_rate: float,
    device: "torch.device",
    weight_decay: float,
    *,
    paged: bool,
) -> "Optimizer":
    """AdamW in 8 bits; `paged`: its state moves to the computer's memory where the GPU's is short. Raises Unavailable
    where it cannot be had."""
    reason = why_not(device.type == "cuda")
    if reason:
        raise Unavailable(f"The optimiser cannot be used: {reason}.", "Choose the optimiser adamw.", where="optimiser")
    import bitsandbytes

    base: Any = bitsandbytes.optim.PagedAdamW8bit if paged else bitsandbytes.optim.AdamW8bit
    made: Optimizer = _with_tensors(base)(parameters, lr=learning_rate, weight_decay=weight_decay)
    return made


def _with_tensors(base: Any) -> Any:
    """The optimiser with a state of tensors only, which checkpoints need: it counts steps in plain numbers."""
    import torch

    class WithTensors(base):  # type: ignore[misc]
        def state_dict(self) -> dict[str, Any]:
            data = super().state_dict()
            state = {
                index: {k: v if isinstance(v, torch.Tensor) else torch.tensor(v) for k, v in entry.items()}
                for index, entry in data["state"].items()
            }
            return {**data, "state": state}

        def load_state_dict(self, data: dict[str, Any]) -> None:
            state = {
                index: {k: int(v) if k == "step" else v for k, v in entry.items()}
                for index, entry in data["state"].items()
            }
            super().load_state_dict({**data, "state": state})

    return WithTensors
