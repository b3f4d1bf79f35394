"""The harmonic source of neural source-filter decoders (Wang et al., 2019): sines that follow the pitch, plus noise."""

import math

import torch
from torch import Tensor, nn

from core.nn.noise import Noise

SINE_AMPLITUDE = 0.1
VOICED_NOISE = 0.003
# Unvoiced samples are noise alone, as loud as a third of the sines.
UNVOICED_NOISE = SINE_AMPLITUDE / 3


def fundamental_phase(f0: Tensor, hop: int, rate_hz: int) -> Tensor:
    """Phase of the fundamental in turns, in [0, 1), at every sample.

    `f0` [B, T] in Hz, held for `hop` samples each; returns float64 [B, T * hop]. Sample n has the phase after its own
    advance, as a running sum would give. Upstream sums 44100 float32 steps a second and corrects for wrapping; here
    the sum runs over frames in float64 and the inside of a frame is a ramp, which is faster, and exact to 1e-12.
    """
    step = f0.double() / rate_hz
    before = torch.cumsum(step * hop, dim=1) - step * hop
    ramp = torch.arange(1, hop + 1, dtype=torch.float64, device=f0.device)
    phase = (before - before.floor()).unsqueeze(2) + step.unsqueeze(2) * ramp
    return (phase - phase.floor()).flatten(1)


class SineSource(nn.Module):
    """Sines of the fundamental and its overtones, gated by voicing, with noise; no parameters."""

    def __init__(self, rate_hz: int, hop: int, n_overtones: int = 8) -> None:
        super().__init__()
        self.rate_hz, self.hop, self.n_harmonics = rate_hz, hop, n_overtones + 1

    def forward(self, f0: Tensor, noise: Noise) -> Tensor:
        """`f0` [B, T] in Hz, 0 where unvoiced; returns [B, T * hop, harmonics], about -0.1 to 0.1.

        Each overtone starts at a random phase; the fundamental starts at 0.
        """
        offset = noise.uniform((f0.shape[0], self.n_harmonics), f0) * (2 * math.pi)
        offset[:, 0] = 0
        # Below ten turns float32 is exact enough (4e-6 of a turn); only the running sum needs more.
        phase = (fundamental_phase(f0, self.hop, self.rate_hz) * (2 * math.pi)).to(f0.dtype)
        harmonics = torch.arange(1, self.n_harmonics + 1, dtype=f0.dtype, device=f0.device)
        sines = torch.addcmul(offset.unsqueeze(1), phase.unsqueeze(2), harmonics).sin_()
        voiced = (f0 > 0).to(f0.dtype).repeat_interleave(self.hop, dim=1).unsqueeze(2)
        level = UNVOICED_NOISE + voiced * (VOICED_NOISE - UNVOICED_NOISE)
        return sines.mul_(voiced * SINE_AMPLITUDE).addcmul_(level, noise.normal(sines.shape, sines))


class HarmonicSource(nn.Module):
    """Mixes the harmonics into one excitation: linear, then tanh."""

    def __init__(self, rate_hz: int, hop: int, n_overtones: int = 8) -> None:
        super().__init__()
        self.sines = SineSource(rate_hz, hop, n_overtones)
        self.l_linear = nn.Linear(n_overtones + 1, 1)

    def forward(self, f0: Tensor, noise: Noise) -> Tensor:
        """`f0` [B, T] in Hz, 0 where unvoiced; returns [B, 1, T * hop] in -1..1."""
        sines = self.sines(f0.float(), noise)
        return torch.tanh(self.l_linear(sines.to(self.l_linear.weight.dtype))).transpose(1, 2)
