"""Data-parallel training over several processes: each rank computes its part of a batch, gradients meet.

What a rank does is told by the global place of its parts alone, so that N ranks with one part each compute what one
process computes with N accumulated parts: gradients are averaged, which is what
`torch.nn.parallel.DistributedDataParallel` does (Li et al., "PyTorch Distributed", VLDB 2020, section 3), done here by
hand because a generator and its discriminator take turns within a step.
"""

import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
from torch import Tensor, nn

from core.training.ranks import STORE

PATIENCE = timedelta(hours=24)
"""Ranks wait this long for each other: rank 0 may wait for room on the disk. torchrun ends those of a dead rank."""
BUCKET_BYTES = 25 << 20
"""Gradients travel in pieces of about this size."""


@dataclass(frozen=True)
class Ranks:
    """This process's place among those that train one run together."""

    rank: int = 0
    count: int = 1
    control: Any = None
    """Process group for small words on the CPU, so that asking whether to stop does not wait for a GPU; None: the one
    and only."""

    @property
    def first(self) -> bool:
        """The one that writes files and reports."""
        return self.rank == 0

    def average_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replace each gradient by its mean over all ranks. Every rank must call this with the same parameters."""
        if self.count == 1:
            return
        from torch import distributed

        gradients = [p.grad for p in parameters if p.grad is not None]
        pending: list[tuple[list[Tensor], Tensor, Any]] = []
        for group in _buckets(gradients):
            flat = torch.cat([g.reshape(-1) for g in group])
            pending.append((group, flat, distributed.all_reduce(flat, async_op=True)))
        for group, flat, work in pending:
            work.wait()
            flat /= self.count
            start = 0
            for gradient in group:
                gradient.copy_(flat[start : start + gradient.numel()].view_as(gradient))
                start += gradient.numel()

    def any(self, wish: bool) -> bool:
        """True on every rank if it is on one."""
        if self.count == 1:
            return wish
        from torch import distributed

        flag = torch.tensor([float(wish)])
        distributed.all_reduce(flag, op=distributed.ReduceOp.MAX, group=self.control)
        return bool(flag.item())

    def mean(self, values: dict[str, float]) -> dict[str, float]:
        """Means over ranks of numbers under the same names in the same order."""
        if self.count == 1:
            return values
        from torch import distributed

        numbers = torch.tensor(list(values.values()), dtype=torch.float32)
        distributed.all_reduce(numbers, group=self.control)
        return dict(zip(values, (numbers / self.count).tolist(), strict=True))

    def share(self, value: Any) -> Any:
        """What rank 0 has, on every rank."""
        if self.count == 1:
            return value
        from torch import distributed

        box = [value]
        distributed.broadcast_object_list(box, src=0)
        return box[0]

    def wait(self) -> None:
        """Go on when all ranks are here."""
        if self.count > 1:
            from torch import distributed

            distributed.barrier()


ALONE = Ranks()
_control: Any = None


def join(device: torch.device) -> Ranks:
    """The ranks that the environment names; `ALONE` without one. Joins once a process.

    Those that `core.training.ranks` started meet through a file, on this machine; those of torchrun as it says.
    """
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        return ALONE
    global _control
    from torch import distributed

    if not distributed.is_initialized():
        backend = "nccl" if device.type == "cuda" else "gloo"
        if device.type == "cuda":  # where nccl puts what it is not told a device for: objects, barriers
            torch.cuda.set_device(device)
        file = os.environ.get(STORE)
        if file is None:
            distributed.init_process_group(backend, timeout=PATIENCE)
        else:
            # By itself gloo listens where the machine's name leads, which may be nowhere.
            loopback = {"linux": "lo", "darwin": "lo0"}.get(sys.platform)
            if loopback is not None:
                os.environ.setdefault("GLOO_SOCKET_IFNAME", loopback)
            store = distributed.FileStore(file, count)
            distributed.init_process_group(
                backend, timeout=PATIENCE, store=store, rank=environment_rank(), world_size=count
            )
        _control = distributed.new_group(timeout=PATIENCE, backend="gloo") if backend != "gloo" else None
    return Ranks(distributed.get_rank(), distributed.get_world_size(), _control)


def environment_rank() -> int:
    """This process's rank as the environment has it; 0 without one. Before joining."""
    return int(os.environ.get("RANK", "0"))


def local_device(device: str) -> str:
    """The GPU of this rank where several are used: "cuda:LOCAL_RANK"; any other device stays.

    Raises:
        Unavailable: there are fewer GPUs than ranks.
    """
    if device.startswith("cuda") and int(os.environ.get("WORLD_SIZE", "1")) > 1:
        from core.device import pick

        return pick(f"cuda:{os.environ.get('LOCAL_RANK', '0')}")
    return device


def _buckets(gradients: list[Tensor]) -> Iterable[list[Tensor]]:
    group: list[Tensor] = []
    size = 0
    for gradient in gradients:
        if group and (size + gradient.nbytes > BUCKET_BYTES or gradient.dtype != group[0].dtype):
            yield group
            group, size = [], 0
        group.append(gradient)
        size += gradient.nbytes
    if group:
        yield group
