"""The state of every random number generator that training draws from, as tensors and JSON."""

import hashlib
import random
import struct
from typing import Any

import numpy as np
import torch
from torch import Tensor


def seed_everything(seed: int) -> None:
    """Seed python's, numpy's and torch's default generators."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def seed_part(seed: int, step: int, part: int, phase: int) -> None:
    """Seed torch for one part of one step.

    What a step draws so depends on its place alone: not on how many steps came before in this process, nor on which
    rank or in how many pieces its batch is computed.

    Args:
        seed: of the run.
        step: 0-based optimiser step.
        part: which part of the step's batch, counted over all ranks.
        phase: 0 from the preparation of the batch to the discriminator's update, 1 for the generator's losses, 2 after
            the step.
    """
    packed = struct.pack("<4q", seed, step, part, phase)
    torch.manual_seed(int.from_bytes(hashlib.blake2b(packed, digest_size=8).digest(), "little") >> 1)


def capture(device: torch.device) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """State of the default generators: tensors (torch, and CUDA of `device`) and JSON-able data (python, numpy)."""
    tensors = {"torch": torch.get_rng_state()}
    if device.type == "cuda":
        tensors["cuda"] = torch.cuda.get_rng_state(device)
    version, values, gauss = random.getstate()
    name, keys, position, has_gauss, cached = np.random.get_state(legacy=True)  # type: ignore[misc]
    return tensors, {
        "python": [version, list(values), gauss],
        "numpy": [name, [int(k) for k in keys], int(position), int(has_gauss), float(cached)],
    }


def restore(tensors: dict[str, Tensor], data: dict[str, Any], device: torch.device) -> None:
    """Put back what `capture` took. A CUDA state is ignored where training goes on on a CPU, and vice versa."""
    torch.set_rng_state(tensors["torch"])
    if device.type == "cuda" and "cuda" in tensors:
        torch.cuda.set_rng_state(tensors["cuda"], device)
    version, values, gauss = data["python"]
    random.setstate((version, tuple(values), gauss))
    name, keys, position, has_gauss, cached = data["numpy"]
    np.random.set_state((name, np.array(keys, dtype=np.uint32), position, has_gauss, cached))
