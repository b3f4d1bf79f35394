"""AdamW with a state of two bytes a weight (Dettmers et al., ICLR 2022), by the package bitsandbytes where it is.

On a GPU and on the CPU. Tensors of fewer than 4096 weights keep a state of 32 bits (the package's rule).
"""

import importlib.util
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from core.errors import Unavailable

if TYPE_CHECKING:
    import torch
    from torch import nn
    from torch.optim import Optimizer


def why_not() -> str:
    """Why there is no such optimiser here; empty if there is. Imports nothing."""
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
    """AdamW in 8 bits; `paged`: its state moves to the computer's memory where the GPU's is short (on the CPU it lies
    there anyway). Raises Unavailable where it cannot be had."""
    reason = why_not()
    if reason:
        raise Unavailable(f"The optimiser cannot be used: {reason}.", "Choose the optimiser adamw.", where="optimiser")
    import bitsandbytes

    base: Any = bitsandbytes.optim.AdamW8bit
    if paged and device.type == "cuda":
        base = bitsandbytes.optim.PagedAdamW8bit
    made: Optimizer = _with_tensors(base)(parameters, lr=learning_rate, weight_decay=weight_decay)
    return made


def _with_tensors(base: Any) -> Any:
    """The optimiser with a flat state of tensors only, which checkpoints need: it counts steps in plain numbers, and
    wraps what it quantised in a table of its own."""
    import torch

    class WithTensors(base):  # type: ignore[misc]
        def state_dict(self) -> dict[str, Any]:
            data: dict[str, Any] = torch.optim.Optimizer.state_dict(self)
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
            for parameter, entry in self.state.items():
                for name in ("state1", "state2") if self.is_paged and parameter.is_cuda else ():
                    paged = self.get_state_buffer(parameter, dtype=entry[name].dtype)
                    entry[name] = paged.copy_(entry[name])  # or what was loaded would stay on the GPU

    return WithTensors
