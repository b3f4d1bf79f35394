"""Downhill: precision, gradients of all ranks, one optimiser step, and whether all numbers are numbers still."""

import contextlib
from collections.abc import Iterable, Iterator
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from core.training.parallel import ALONE, Ranks
from core.training.window import Window

Precision = Literal["fp32", "fp16", "bf16"]


def choose_precision(wish: Literal["auto", "fp32", "fp16", "bf16"], device: torch.device) -> Precision:
    """The precision for a wish of "auto", "fp32", "fp16" or "bf16". A CPU always computes in fp32."""
    if device.type != "cuda":
        return "fp32"
    if wish == "auto":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
    return wish


def fast_maths(device: torch.device, wish: str, same_shapes: bool) -> None:
    """TF32 on a GPU unless fp32 is wished for; trying convolution algorithms, which pays where shapes repeat."""
    if device.type != "cuda":
        return
    if wish != "fp32":
        torch.set_float32_matmul_precision("high")
        torch.backends.cudnn.allow_tf32 = True
    torch.backends.cudnn.benchmark = same_shapes


def adamw(
    parameters: Iterable[nn.Parameter],
    learning_rate: float,
    device: torch.device,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.01,
) -> torch.optim.AdamW:
    """AdamW (Loshchilov and Hutter, ICLR 2019), fused into one kernel on a GPU."""
    return torch.optim.AdamW(
        parameters,
        lr=learning_rate,
        betas=betas,
        eps=eps,
        weight_decay=weight_decay,
        fused=device.type == "cuda" or None,
    )


class Descent:
    """What a step of any learner needs. One object lives for one run.

    Order within a step, for each optimiser: under `autocast` the losses; `backward` once for each part; `descend`.
    """

    def __init__(self, device: torch.device, precision: Precision, ranks: Ranks = ALONE) -> None:
        self.device, self.precision, self.ranks = device, precision, ranks
        self.scaler = torch.amp.GradScaler(device.type, enabled=precision == "fp16")
        self.window = Window()
        """What is logged: add losses and norms here."""
        self.finite = torch.ones((), dtype=torch.bool, device=device)
        """Whether all losses and gradients so far were; on the device, so that a GPU need not wait."""

    def autocast(self) -> contextlib.AbstractContextManager[Any]:
        """The precision of the run, for the forward pass and the losses."""
        if self.precision == "fp32":
            return contextlib.nullcontext()
        return torch.autocast(self.device.type, torch.float16 if self.precision == "fp16" else torch.bfloat16)

    def backward(self, loss: Tensor, n_parts: int = 1) -> None:
        """Add the gradients of one of a step's `n_parts` parts. `loss`: scalar."""
        self.finite &= torch.isfinite(loss.detach())
        self.scaler.scale(loss if n_parts == 1 else loss / n_parts).backward()  # type: ignore[no-untyped-call]

    def descend(self, optimiser: Optimizer, max_norm: float | None = None) -> Tensor:
        """One optimiser step on the mean of all ranks' gradients; returns their L2 norm before clipping, a scalar.

        Args:
            optimiser: its parameters' gradients are used and stay.
            max_norm: gradients are scaled down to this norm; None: they are only measured.
        """
        parameters = [p for group in optimiser.param_groups for p in group["params"]]
        self.ranks.average_gradients(parameters)
        self.scaler.unscale_(optimiser)
        norm = nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
        if max_norm is not None:
            nn.utils.clip_grads_with_norm_(parameters, max_norm, norm)
        if not self.scaler.is_enabled():  # with a scaler an infinite gradient is normal: that step is skipped
            self.finite &= torch.isfinite(norm)
        self.scaler.step(optimiser)
        return norm


@contextlib.contextmanager
def frozen(modules: Iterable[nn.Module]) -> Iterator[None]:
    """No gradients for the parameters of these modules while the body runs."""
    held = [p for module in modules for p in module.parameters() if p.requires_grad]
    for parameter in held:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in held:
            parameter.requires_grad_(True)
