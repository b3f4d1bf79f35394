"""Masks and cuts of padded batches. Frames are the last axis."""

import torch
from torch import Tensor


def length_mask(lengths: Tensor, n_frames: int) -> Tensor:
    """Lengths [B] in frames to a float mask [B, 1, n_frames]: 1 inside, 0 in the padding."""
    positions = torch.arange(n_frames, device=lengths.device)
    return (positions < lengths[:, None]).unsqueeze(1).to(torch.float32)


def random_starts(lengths: Tensor, size: int, uniform: Tensor) -> Tensor:
    """Start of a cut of `size` frames per item: floor(U * (length - size + 1)), never below 0.

    `uniform` holds B numbers in [0, 1); `lengths` [B] are in frames. Returns int64 [B].
    """
    room = torch.clamp(lengths - size + 1, min=1)
    return (uniform.to(room.device) * room).long()


def cut(x: Tensor, starts: Tensor, size: int) -> Tensor:
    """Take `size` positions from each item's start [B]: x [B, C, T] or [B, T] to [B, C, size] or [B, size]."""
    index = starts[:, None] + torch.arange(size, device=x.device)
    if x.dim() == 3:
        return x.gather(2, index[:, None, :].expand(-1, x.shape[1], -1))
    return x.gather(1, index)
