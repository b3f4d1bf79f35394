"""What goes wrong inside a step, in words: a loss that is no number or explodes, memory that does not suffice."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from core.errors import StudioError

EXPLODED = 20.0
"""A mean loss of a log window this many times the lowest one before is no training any more."""
SETTLED_WINDOWS = 3
"""So many windows must have been seen before any is judged."""
LOWEST_SCALE = 2.0**-20
"""fp16 halves its scale at every overflow; this low means that all steps overflow."""


class Diverged(StudioError):
    """The loss or a gradient is no longer a number, or has exploded."""

    code = "diverged"


class OutOfMemory(StudioError):
    """A step does not fit into the memory. `batch_size` and `accumulate`: the same step in smaller pieces."""

    code = "out_of_memory"

    def __init__(self, message: str, hint: str, *, where: str = "", offer: dict[str, int] | None = None) -> None:
        super().__init__(message, hint, where=where)
        self.offer = offer
        """{"batch_size", "accumulate"} to resume with; None where a batch is a single clip already."""

    def to_dict(self) -> dict[str, Any]:
        """With `offer`, so that it comes through from a rank or a cluster."""
        return {**super().to_dict(), "offer": self.offer}

    @classmethod
    def of(cls, data: dict[str, Any]) -> Self:
        """With its offer."""
        return cls(data.get("message", ""), data.get("hint", ""), where=data.get("where", ""), offer=data.get("offer"))


@dataclass
class LossGuard:
    """Watches the mean loss of each log window. Its two numbers belong into a checkpoint."""

    lowest: float = math.inf
    n_windows: int = 0

    def exploded(self, mean_loss: float) -> bool:
        """Note one window's mean; True if it is beyond all reason."""
        self.n_windows += 1
        if self.n_windows > SETTLED_WINDOWS and mean_loss > EXPLODED * max(self.lowest, 1e-3):
            return True
        self.lowest = min(self.lowest, mean_loss)
        return False

    def state(self) -> list[float | int | None]:
        """For a checkpoint: [lowest or None, windows]."""
        return [None if self.lowest == math.inf else self.lowest, self.n_windows]

    def restore(self, state: Sequence[Any]) -> None:
        """Put back what `state` gave."""
        lowest, self.n_windows = state
        self.lowest = math.inf if lowest is None else lowest

    def would_explode(self, mean_loss: float) -> bool:
        """`exploded`, without noting anything: asked before a save between two windows."""
        return self.n_windows >= SETTLED_WINDOWS and mean_loss > EXPLODED * max(self.lowest, 1e-3)


def is_out_of_memory(err: BaseException) -> bool:
    """Whether an exception of a step means that memory did not suffice, on a GPU or on the CPU."""
    if isinstance(err, MemoryError) or type(err).__name__ == "OutOfMemoryError":
        return True
    text = str(err).lower()
    return isinstance(err, RuntimeError) and ("out of memory" in text or "can't allocate memory" in text)


def smaller(batch_size: int, accumulate: int) -> dict[str, int] | None:
    """The same items a step in pieces of half the size (rounded down to a divisor); None if a piece is one item."""
    total = batch_size * accumulate
    for size in range(batch_size // 2, 0, -1):
        if total % size == 0:
            return {"batch_size": size, "accumulate": total // size}
    return None


def explain_memory(what: str, saved_step: int | None, batch_size: int, accumulate: int, where: str) -> OutOfMemory:
    """The error for something that did not fit, with the way out. `what`: "Step 7" or "Saving step 7"."""
    kept = f"The checkpoint of step {saved_step} is good." if saved_step else "No checkpoint was saved yet."
    offer = smaller(batch_size, accumulate)
    if offer is None:
        hint = "Close other programs that use the memory, or choose a smaller preset: one clip at a time is too much."
    else:
        hint = (
            f"Resume with a batch size of {offer['batch_size']} and {offer['accumulate']} accumulated batches a step: "
            "it learns the same and needs about half the memory. Or close other programs that use it."
        )
    return OutOfMemory(f"{what} ran out of memory with batches of {batch_size}. {kept}", hint, where=where, offer=offer)
