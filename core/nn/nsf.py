"""The harmonic source of neural source-filter decoders (Wang et al., 2019): sines that follow the pitch, plus noise."""

import math
from typing import ClassVar

import torch
from torch import Tensor, nn

from core.nn.noise import Noise

SINE_AMPLITUDE = 0.1
VOICED_NOISE = 0.003
# Unvoiced samples are noise alone, as loud as a third of the sines.
UNVOICED_NOISE = SINE_AMPLITUDE / 3
_BLOCK = 16  # samples; half a turn a sample stays below ten turns, where float32 is exact to 1e-6


def harmonic_steps(f0: Tensor, rate_hz: int, n_harmonics: int) -> Tensor:
    """Turns per sample of the fundamental and its overtones, in [0, 1): `f0` [B, T] in Hz to [B, T, harmonics].

    Each is rounded to float32 here, as upstream does: over seconds of a steady pitch these roundings add up, and a
    source without them runs out of step with the one that a model was trained with.
    """
    harmonics = torch.arange(1, n_harmonics + 1, dtype=f0.dtype, device=f0.device)
    return torch.remainder(f0.unsqueeze(2) * harmonics / rate_hz, 1.0)


def running_phase(step: Tensor, hop: int) -> Tensor:
    """The running sum of steps held for `hop` samples each, modulo whole turns.

    `step` [B, T, H] in turns per sample; returns [B, T * hop, H] in turns, float32, 0 to a few. Sample n has the phase
    after its own advance. Upstream sums 44100 float32 steps a second and takes whole turns away as it goes; here the
    sum runs in float64 over blocks of a frame, and only the inside of a block is a float32 ramp: faster, and exact to
    about 1e-6 of a turn however long the sound is.
    """
    block = math.gcd(hop, _BLOCK)
    step64 = step.double()
    before = torch.cumsum(step64 * hop, dim=1) - step64 * hop
    starts = torch.arange(0, hop, block, dtype=torch.float64, device=step.device)
    coarse = before.unsqueeze(2) + step64.unsqueeze(2) * starts[:, None]
    coarse = (coarse - coarse.floor()).float()
    inside = torch.arange(1, block + 1, dtype=torch.float32, device=step.device)
    fine = step.float().unsqueeze(2) * inside[:, None]
    return (coarse.unsqueeze(3) + fine.unsqueeze(2)).flatten(1, 3)


class SineSource(nn.Module):
    """Sines of the fundamental and its overtones, gated by voicing, with noise; no parameters."""

    bare = False
    """True: neither pauses nor noise, as so-vits-svc 4.1-Latest has it."""

    def __init__(self, rate_hz: int, hop: int, n_overtones: int = 8) -> None:
        super().__init__()
        self.rate_hz, self.hop, self.n_harmonics = rate_hz, hop, n_overtones + 1

    def phase(self, f0: Tensor, noise: Noise) -> Tensor:
        """Phases in turns [B, T * hop, harmonics]. Each overtone starts at a random one; the fundamental at 0."""
        offset = noise.uniform((f0.shape[0], self.n_harmonics), f0)
        offset[:, 0] = 0
        return running_phase(harmonic_steps(f0, self.rate_hz, self.n_harmonics), self.hop).add_(offset.unsqueeze(1))

    def forward(self, f0: Tensor, noise: Noise) -> Tensor:
        """`f0` [B, T] in Hz, 0 where unvoiced; returns [B, T * hop, harmonics], about -0.1 to 0.1."""
        sines = self.phase(f0, noise).mul_(2 * math.pi).sin_()
        if self.bare:
            return sines.mul_(SINE_AMPLITUDE)
        voiced = (f0 > 0).to(f0.dtype).repeat_interleave(self.hop, dim=1).unsqueeze(2)
        level = UNVOICED_NOISE + voiced * (VOICED_NOISE - UNVOICED_NOISE)
        return sines.mul_(voiced * SINE_AMPLITUDE).addcmul_(level, noise.normal(sines.shape, sines))


class FirstFrameSineSource(SineSource):
    """The source of openvpi's vocoders: an overtone's random phase is added to every step of the first frame.

    That turns the start by `hop` times the random number, and makes the first frame sound at another pitch.
    """

    def phase(self, f0: Tensor, noise: Noise) -> Tensor:
        step = harmonic_steps(f0, self.rate_hz, self.n_harmonics)
        offset = noise.uniform((f0.shape[0], self.n_harmonics), f0)
        offset[:, 0] = 0
        step[:, 0] += offset
        return running_phase(step, self.hop)


class HarmonicSource(nn.Module):
    """Mixes the harmonics into one excitation: linear, then tanh."""

    sine_source: ClassVar[type[SineSource]] = SineSource

    def __init__(self, rate_hz: int, hop: int, n_overtones: int = 8) -> None:
        super().__init__()
        self.sines = self.sine_source(rate_hz, hop, n_overtones)
        self.l_linear = nn.Linear(n_overtones + 1, 1)

    def forward(self, f0: Tensor, noise: Noise) -> Tensor:
        """`f0` [B, T] in Hz, 0 where unvoiced; returns [B, 1, T * hop] in -1..1."""
        sines = self.sines(f0.float(), noise)
        return torch.tanh(self.l_linear(sines.to(self.l_linear.weight.dtype))).transpose(1, 2)


class FirstFrameHarmonicSource(HarmonicSource):
    """The excitation of openvpi's vocoders."""

    sine_source = FirstFrameSineSource
