"""Bringing 50 Hz units onto the frame grid of the generator."""

from typing import Literal, get_args

import torch
import torch.nn.functional as F

from core.errors import BadInput

AlignMode = Literal["left", "nearest", "linear"]


def align(units: torch.Tensor, n_frames: int, mode: AlignMode = "left") -> torch.Tensor:
    """Stretch or squeeze units to exactly ``n_frames``.

    The modes are those of so-vits-svc 4.1's ``unit_interpolate_mode``: ``left`` moves on by at
    most one unit a frame (so it drops the tail when there are more units than frames), the other
    two are ``torch.nn.functional.interpolate``.

    Args:
        units: [S, C] at any frame rate, S >= 1 unless ``n_frames`` is 0.
        n_frames: T, the frames wanted.
        mode: one of ``left``, ``nearest``, ``linear``.

    Returns:
        [T, C], dtype and device of ``units``.

    Raises:
        BadInput: wrong shape, unknown mode, or no units to stretch.
    """
    if units.ndim != 2:
        raise BadInput(f"Units must be [S, C], got shape {tuple(units.shape)}.")
    if mode not in get_args(AlignMode):
        raise BadInput(f"Unknown unit alignment {mode!r}.", f"Use one of {', '.join(get_args(AlignMode))}.")
    n_units = units.shape[0]
    if n_frames == 0:
        return units[:0]
    if n_units == 0:
        raise BadInput(f"There are no units to align with {n_frames} frames.", "The audio is too short to encode.")
    if mode == "left":
        frame = torch.arange(n_frames, device=units.device)
        return units[torch.minimum(frame, frame * n_units // n_frames)]
    return F.interpolate(units.T[None], size=n_frames, mode=mode)[0].T
