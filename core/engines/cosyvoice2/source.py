"""The vocoder's excitation: harmonics of the pitch that go on where the last chunk left them, and noise."""

import math

import torch
from torch import Tensor


def turns_a_sample(f0: Tensor, n_harmonics: int, rate_hz: int) -> Tensor:
    """What each harmonic of `f0` [T] (Hz) turns in a sample, [T, harmonics], below one turn."""
    harmonics = torch.arange(1, n_harmonics + 1, dtype=f0.dtype, device=f0.device)
    return torch.remainder(f0[:, None] * harmonics / rate_hz, 1.0)


def centre_phases(turns: Tensor, hop: int, before: Tensor | None) -> Tensor:
    """Phases [T, H] in turns (float64, 0..1) at the centres of frames; `before` [H] is the one before the first."""
    phases = torch.cumsum(turns.double() * hop, dim=0)
    return torch.remainder(phases if before is None else phases + before, 1.0)


def sample_phases(turns: Tensor, hop: int, before: Tensor | None) -> Tensor:
    """Phases [T * hop, H] in turns, float64, straight lines from one frame's centre to the next.

    Half a frame at each end of the whole sound stands still: `before` None says that it begins here, and the last half
    frame is right only if the sound ends here. (Upstream adds the same steps in float32, which is off by a thousandth
    of a turn after seconds, and begins anew in every chunk.)
    """
    centres = centre_phases(turns, hop, before)
    steps = turns.double()
    half = hop // 2
    rising = torch.arange(hop, dtype=torch.float64, device=turns.device) + 0.5 - half
    following = torch.cat([steps[1:], torch.zeros_like(steps[:1])])
    entering = steps.clone()
    if before is None:
        entering[0] = 0
    slopes = torch.where(rising[None, :, None] < 0, entering[:, None], following[:, None])
    return (centres[:, None] + rising[None, :, None] * slopes).flatten(0, 1)


def held_phases(turns: Tensor, hop: int, before: Tensor | None) -> Tensor:
    """Phases [T * hop, H] of the causal vocoder, which holds each frame's phase for the whole frame."""
    return centre_phases(turns, hop, before).repeat_interleave(hop, dim=0)


def harmonics(phases: Tensor, f0: Tensor, noise: Tensor, alpha: float, sigma: float, threshold_hz: float) -> Tensor:
    """Sines of `phases` [N, H] where `f0` [N] is voiced, with noise [N, H] on them; elsewhere noise alone.

    `alpha` is the sines' amplitude and three times the unvoiced noise's, `sigma` the voiced noise's.
    """
    voiced = (f0 > threshold_hz).to(noise.dtype)[:, None]
    sines = alpha * torch.sin(2 * math.pi * (phases - phases.floor())).to(noise.dtype)
    return sines * voiced + (voiced * sigma + (1 - voiced) * alpha / 3) * noise
