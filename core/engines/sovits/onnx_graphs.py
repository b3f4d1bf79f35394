"""The generators as ONNX can hold them: one forward of plain tensor operations, every random number an input or drawn
in the graph.

Notation: S content frames as the encoder gives them, T frames of 512 samples, N = 512 T samples, C content channels,
K speakers. The inputs are those of so-vits-svc's own export (spec/so_vits_svc.md section 2, ONNX).
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.engines.sovits.lite import HOP, N_FFT, SUBHOP, VOLUME_FLOOR, LiteGenerator
from core.engines.sovits.model import SovitsGenerator
from core.engines.sovits.pitch import coarse_f0, hz_of_log_f0, log_f0, normalize_log_f0
from core.nn.noise import Noise

_FRAMES_PER_WINDOW = N_FFT // SUBHOP


def expand(c: Tensor, mel2ph: Tensor) -> Tensor:
    """Units [1, S, C] laid out on the frame grid: [1, C, T]. `mel2ph` int64 [1, T] counts from 1; 0: an empty unit."""
    return F.pad(c, (0, 0, 1, 0))[0, mel2ph[0]].unsqueeze(0).transpose(1, 2)


class _GivenNoise(Noise):
    """The source's random numbers: given, or drawn in the graph."""

    def __init__(self, phase: Tensor | None, samples: Tensor | None) -> None:
        super().__init__()
        self.phase, self.samples = phase, samples

    def uniform(self, shape: Sequence[int], like: Tensor) -> Tensor:
        # A copy: whoever asked writes into what it got.
        return torch.rand(tuple(shape)) if self.phase is None else self.phase.clone()

    def normal(self, shape: Sequence[int], like: Tensor) -> Tensor:
        return torch.randn_like(like) if self.samples is None else self.samples


class SovitsGraph(nn.Module):
    """A so-vits-svc generator whose weight norm is folded, on a decoder that has not been rearranged for a CPU."""

    def __init__(self, generator: SovitsGenerator, *, predict_f0: bool = False) -> None:
        super().__init__()
        self.generator = generator
        self.predict_f0 = predict_f0

    def forward(
        self,
        c: Tensor,
        f0: Tensor,
        mel2ph: Tensor,
        uv: Tensor,
        noise: Tensor,
        sid: Tensor,
        vol: Tensor | None = None,
        source_phase: Tensor | None = None,
        source_noise: Tensor | None = None,
    ) -> tuple[Tensor, ...]:
        """Units c [1, S, C], pitch f0 [1, T] in Hz, places mel2ph int64 [1, T], voicing uv [1, T], latent noise
        [1, inter, T] (already times the noise scale), speaker sid int64 [1] or weights [T, K], volume vol [1, T].
        source_phase [1, harmonics] in turns and source_noise [1, N, harmonics], standard normal, are drawn in the
        graph where absent. Gives audio [1, 1, N], and with `predict_f0` the pitch used, [1, T].
        """
        net = self.generator
        g = net.speaker(sid)
        mask = torch.ones_like(f0).unsqueeze(1)
        x = net.front(expand(c, mel2ph), mask, uv, vol)
        if self.predict_f0:
            normal = normalize_log_f0(log_f0(f0).unsqueeze(1), mask, uv)
            f0 = hz_of_log_f0(net.f0_decoder(x, normal, mask, g)).squeeze(1)
        mean, logs = net.enc_p(x, mask, coarse_f0(f0))
        z = net.flow(mean + noise * torch.exp(logs), mask, g, reverse=True)
        audio = net.dec(z, f0, g, _GivenNoise(source_phase, source_noise))
        return (audio, f0) if self.predict_f0 else (audio,)


class LiteGraph(nn.Module):
    """A `lite` generator with its short-time transforms as real matrix products: ONNX has no complex numbers."""

    to_spectrum: Tensor
    to_frames: Tensor
    window: Tensor

    def __init__(self, generator: LiteGenerator) -> None:
        super().__init__()
        self.generator = generator
        turns = torch.arange(N_FFT, dtype=torch.float64)[:, None] * torch.arange(N_FFT // 2 + 1) / N_FFT
        angle = 2 * torch.pi * (turns - turns.floor())
        self.register_buffer("to_spectrum", torch.cat([angle.cos(), -angle.sin()], 1).float(), persistent=False)
        # Every bin but the first and the last stands for two of the whole spectrum.
        twice = torch.full((N_FFT // 2 + 1,), 2.0 / N_FFT, dtype=torch.float64)
        twice[0] = twice[-1] = 1.0 / N_FFT
        back = torch.cat([(angle.cos() * twice).T, (-angle.sin() * twice).T])
        self.register_buffer("to_frames", back.float(), persistent=False)
        self.register_buffer("window", torch.hann_window(N_FFT), persistent=False)

    def forward(
        self, c: Tensor, f0: Tensor, mel2ph: Tensor, uv: Tensor, noise: Tensor, sid: Tensor, vol: Tensor
    ) -> tuple[Tensor]:
        """As `SovitsGraph.forward`, but noise is [1, N], standard normal: the breath. Gives audio [1, 1, N]."""
        net = self.generator
        filters = net.filters(expand(c, mel2ph), f0, uv, vol, sid if sid.dim() == 1 else sid.unsqueeze(0))
        source_real, source_imag = self._analyse(self._impulses(f0, uv))
        breath_real, breath_imag = self._analyse(noise)
        level = _doubled(vol.clamp(min=VOLUME_FLOOR)).unsqueeze(1)
        voiced = level * filters[:, 0].clamp(-12.0, 4.0).exp()
        breath = level * filters[:, 1].clamp(-12.0, 4.0).exp()
        gain_real, gain_imag = voiced * filters[:, 2].cos(), voiced * filters[:, 2].sin()
        real = source_real * gain_real - source_imag * gain_imag + breath_real * breath
        imag = source_real * gain_imag + source_imag * gain_real + breath_imag * breath
        return (self._synthesise(real, imag).unsqueeze(1),)

    def _impulses(self, f0: Tensor, uv: Tensor) -> Tensor:
        """`core.engines.sovits.lite.impulse_train` from phase 0."""
        rate_hz = self.generator.rate_hz
        f0_up = _to_samples(f0.double()).clamp(min=20.0)
        cycles = torch.cumsum(f0_up / rate_hz, dim=1)
        x = cycles - torch.round(cycles)
        harmonics = 2 * torch.floor(rate_hz / f0_up / 2) + 1
        below = torch.sin(torch.pi * x)
        at_peak = below.abs() < 1e-6
        blit = torch.sin(torch.pi * harmonics * x) / (harmonics * torch.where(at_peak, torch.ones_like(x), below))
        blit = torch.where(at_peak, torch.ones_like(x), blit) * harmonics.sqrt()
        return blit.float() * _to_samples(uv)

    def _analyse(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """[1, N] to real and imaginary parts [1, bins, N / SUBHOP]."""
        side = (N_FFT - SUBHOP) // 2
        blocks = F.pad(x, (side, side)).reshape(1, -1, SUBHOP)
        count = blocks.shape[1] - _FRAMES_PER_WINDOW + 1
        frames = torch.cat([blocks[:, k : k + count] for k in range(_FRAMES_PER_WINDOW)], dim=2) * self.window
        real, imag = (frames @ self.to_spectrum).transpose(1, 2).chunk(2, dim=1)
        return real, imag

    def _synthesise(self, real: Tensor, imag: Tensor) -> Tensor:
        """The reverse, [1, N]."""
        spectral = self.generator.spectral
        frames = (torch.cat([real, imag], dim=1).transpose(1, 2) @ self.to_frames) * self.window
        weight = self.window.square() + torch.zeros_like(frames)
        return spectral._overlap_add(frames) / spectral._overlap_add(weight).clamp(min=1e-3)


def _to_samples(x: Tensor) -> Tensor:
    """[1, T] at frame rate to [1, N], linear between the middles of frames, held at the ends."""
    share = (torch.arange(HOP, dtype=x.dtype) + 0.5) / HOP - 0.5
    here = x.unsqueeze(2)
    before = torch.cat([x[:, :1], x[:, :-1]], dim=1).unsqueeze(2)
    after = torch.cat([x[:, 1:], x[:, -1:]], dim=1).unsqueeze(2)
    return torch.where(share < 0, here + share * (here - before), here + share * (after - here)).flatten(1)


def _doubled(x: Tensor) -> Tensor:
    """[1, T] to [1, 2T], linear: what `interpolate` does by a scale of two."""
    before = torch.cat([x[:, :1], x[:, :-1]], dim=1)
    after = torch.cat([x[:, 1:], x[:, -1:]], dim=1)
    return torch.stack([0.75 * x + 0.25 * before, 0.75 * x + 0.25 * after], dim=2).flatten(1)
