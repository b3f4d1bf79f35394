"""Long audio through encoders whose cost grows with the square of its length: in windows that overlap.

Units are [T, C], one every `HOP` samples at 16 kHz; a unit is dropped that stands nearer than the context to a seam.
"""

from collections.abc import Callable

import torch
from torch import Tensor

HOP = 320
RECEPTIVE = 400
"""Samples that one unit of a HuBERT looks at before attention."""


def in_windows(
    wav: Tensor,
    n_units: int,
    run: Callable[[Tensor], Tensor],
    *,
    span: int = 1500,
    context: int = 100,
    receptive: int = RECEPTIVE,
) -> Tensor:
    """Units [n_units or a few more, C] of wav [N], n_units >= 1, by `run` ([n samples] to units) on windows.

    `span` units of each window are kept, `context` more are computed on either side; unit i sees the samples
    `HOP * i` to `HOP * i + receptive`.
    """
    pieces = []
    for start in range(0, n_units, span):
        first, last = max(0, start - context), min(n_units, start + span + context)
        # The last samples make no unit of their own, but a norm over time hears them.
        stop = wav.shape[0] if last == n_units else (last - 1) * HOP + receptive
        units = run(wav[first * HOP : stop])
        ends = start + span >= n_units  # a network that pads has a unit more at the very end
        pieces.append(units[start - first :] if ends else units[start - first : start - first + span])
    return torch.cat(pieces)
