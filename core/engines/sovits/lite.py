"""The `lite` generator: a source-filter network that a CPU can train.

It answers to the same `infer` call as the so-vits-svc generator, at the same rates (44.1 kHz, one frame per
512 samples), but there is no posterior, no flow and no stack of upsampling convolutions. All learned layers
run at frame rate; the waveform comes from two excitations that are filtered in the short-time Fourier domain:

* a band-limited impulse train at the wanted pitch (Stilson and Smith, "Alias-free digital synthesis of
  classic analog waveforms", ICMC 1996), shaped by a predicted complex filter: the voiced part;
* white noise shaped by a predicted magnitude: breath and consonants.

That is the harmonic-plus-noise idea of DDSP (Engel et al., ICLR 2020, section 3) with ConvNeXt blocks
(Liu et al., CVPR 2022) in front. Pitch is right by construction, so training spends itself on timbre.

Shapes: B batch, T frames of `HOP` samples, C content channels, H hidden channels, K = `N_FFT` // 2 + 1 bins.
"""

import math
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from core.engines.sovits.config import SovitsConfig

HOP = 512
"""Samples per content frame; fixed by the so-vits-svc data layout."""
SUBHOP = 256
"""Samples per spectral frame: two per content frame, so that consonants keep an edge of about 6 ms."""
N_FFT = 1024
VOLUME_FLOOR = 1e-4
DISPERSION_S = 0.004
"""About one period of a woman's voice."""


class ConvNextBlock(nn.Module):
    """Depth-wise convolution, layer norm, two point-wise layers and a learned residual gain. [B, H, T] -> same."""

    def __init__(self, channels: int, expansion: int = 3, kernel_size: int = 7) -> None:
        super().__init__()
        self.depthwise = nn.Conv1d(channels, channels, kernel_size, padding=kernel_size // 2, groups=channels)
        self.norm = nn.LayerNorm(channels)
        self.widen = nn.Linear(channels, channels * expansion)
        self.narrow = nn.Linear(channels * expansion, channels)
        self.gain = nn.Parameter(torch.full((channels,), 0.1))

    def forward(self, x: Tensor) -> Tensor:
        y = self.depthwise(x).transpose(1, 2)
        y = self.gain * self.narrow(F.gelu(self.widen(self.norm(y))))
        return cast(Tensor, x + y.transpose(1, 2))


def impulse_train(f0: Tensor, uv: Tensor, rate_hz: int, phase: Tensor | None = None) -> Tensor:
    """Band-limited impulses at the pitch, of unit power where voiced and zero elsewhere.

    Args:
        f0: pitch [B, T] in Hz, interpolated through unvoiced frames (so that the phase goes on).
        uv: 1 where voiced, 0 where not, [B, T].
        rate_hz: sample rate of the result.
        phase: starting phase [B] in cycles; 0 when absent.

    Returns:
        Excitation [B, T * HOP].
    """
    f0_up = F.interpolate(f0[:, None].double(), scale_factor=HOP, mode="linear", align_corners=False)[:, 0]
    f0_up = f0_up.clamp(min=20.0)
    cycles = torch.cumsum(f0_up / rate_hz, dim=1)
    if phase is not None:
        cycles = cycles + phase[:, None]
    x = cycles - torch.round(cycles)
    harmonics = 2 * torch.floor(rate_hz / f0_up / 2) + 1
    below = torch.sin(math.pi * x)
    at_peak = below.abs() < 1e-6
    blit = torch.sin(math.pi * harmonics * x) / (harmonics * torch.where(at_peak, torch.ones_like(below), below))
    # a train of M equal harmonics has power 1 / M (see the module's reference, eq. 3)
    blit = torch.where(at_peak, torch.ones_like(blit), blit) * harmonics.sqrt()
    voiced = F.interpolate(uv[:, None].to(f0.dtype), scale_factor=HOP, mode="linear", align_corners=False)[:, 0]
    return blit.to(f0.dtype) * voiced


class Spectral(nn.Module):
    """Short-time Fourier transform of whole frames and its weighted overlap-add inverse.

    Spectral frame `i` is centred on sample (i + 1/2) * SUBHOP, so N samples give exactly N / SUBHOP frames.
    """

    window: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("window", torch.hann_window(N_FFT), persistent=False)

    def analyse(self, x: Tensor) -> Tensor:
        """[B, N] -> complex [B, K, N / SUBHOP]."""
        side = (N_FFT - SUBHOP) // 2
        frames = F.pad(x, (side, side)).unfold(1, N_FFT, SUBHOP) * self.window
        return torch.fft.rfft(frames, dim=-1).transpose(1, 2)

    def synthesise(self, spectrum: Tensor) -> Tensor:
        """Complex [B, K, F] -> [B, F * SUBHOP]."""
        frames = torch.fft.irfft(spectrum.transpose(1, 2), n=N_FFT, dim=-1) * self.window
        audio = self._overlap_add(frames)
        weight = self._overlap_add(self.window.square().expand(1, frames.shape[1], N_FFT))
        return audio / weight.clamp(min=1e-3)

    @staticmethod
    def _overlap_add(frames: Tensor) -> Tensor:
        """[B, F, N_FFT] -> [B, F * SUBHOP]; N_FFT is a whole number of hops, so it is a sum of shifted blocks."""
        batch, count, _ = frames.shape
        per_frame = N_FFT // SUBHOP
        blocks = frames.reshape(batch, count, per_frame, SUBHOP)
        total = sum(F.pad(blocks[:, :, k], (0, 0, k, per_frame - 1 - k)) for k in range(per_frame))
        side = (N_FFT - SUBHOP) // 2
        return cast(Tensor, total).reshape(batch, -1)[:, side : side + count * SUBHOP]


def _dispersion(n_bins: int, rate_hz: int) -> Tensor:
    """Phase [K] in radians whose delay grows evenly from 0 to `DISPERSION_S` over the band.

    It is where training starts: bare impulses are fifteen times as high as their RMS and would leave the range.
    """
    bins = torch.arange(n_bins, dtype=torch.float32)
    return -math.pi * DISPERSION_S * (rate_hz / N_FFT) * bins.square() / n_bins


class LiteGenerator(nn.Module):
    """Content, pitch, volume and speaker in; 44.1 kHz audio out.

    Args:
        config: `model.ssl_dim` gives C, `hidden_channels` H, `n_layers` the number of blocks before the frames
            are doubled (two more follow), `gin_channels` the speaker embedding, `n_speakers` its rows.
    """

    needs_volume = True

    def __init__(self, config: SovitsConfig) -> None:
        super().__init__()
        model = config.model
        hidden = model.hidden_channels
        self.rate_hz = config.data.sampling_rate
        self.n_bins = N_FFT // 2 + 1
        self.emb_g = nn.Embedding(model.n_speakers, model.gin_channels)
        self.pre = nn.Conv1d(model.ssl_dim, hidden, 5, padding=2)
        self.condition = nn.Linear(3, hidden)
        self.speaker = nn.Linear(model.gin_channels, hidden)
        self.blocks = nn.ModuleList(ConvNextBlock(hidden) for _ in range(model.n_layers))
        self.fine_blocks = nn.ModuleList(ConvNextBlock(hidden) for _ in range(2))
        self.norm = nn.LayerNorm(hidden)
        self.head = nn.Linear(hidden, 3 * self.n_bins)
        self.spectral = Spectral()
        nn.init.normal_(self.head.weight, std=0.01)
        with torch.no_grad():
            self.head.bias.zero_()
            self.head.bias[self.n_bins : 2 * self.n_bins] = -2.0
            self.head.bias[2 * self.n_bins :] = _dispersion(self.n_bins, self.rate_hz)

    def speaker_vector(self, sid: Tensor) -> Tensor:
        """Speaker ids [B] (integer) or mixing weights [B, T, n_speakers] -> [B, 1 or T, gin]."""
        if sid.dtype.is_floating_point:
            return sid @ self.emb_g.weight
        return cast(Tensor, self.emb_g(sid.reshape(-1)))[:, None]

    def filters(self, c: Tensor, f0: Tensor, uv: Tensor, vol: Tensor, sid: Tensor) -> Tensor:
        """Log-gain of the voiced part, log-gain of the noise and phase of the voiced part: [B, 3, K, 2T]."""
        pitch = torch.log2(f0.clamp(min=20.0) / 220.0)
        loudness = torch.log10(vol.clamp(min=VOLUME_FLOOR)) + 1.0
        extra = self.condition(torch.stack([pitch, uv.to(pitch.dtype), loudness], dim=-1))
        x = self.pre(c) + (extra + self.speaker(self.speaker_vector(sid))).transpose(1, 2)
        for block in self.blocks:
            x = block(x)
        x = F.interpolate(x, scale_factor=HOP // SUBHOP, mode="linear", align_corners=False)
        for block in self.fine_blocks:
            x = block(x)
        out = self.head(self.norm(x.transpose(1, 2)))
        return cast(Tensor, out.transpose(1, 2).reshape(x.shape[0], 3, self.n_bins, -1))

    def synthesise(
        self, f0: Tensor, uv: Tensor, vol: Tensor, filters: Tensor, noise: Tensor, phase: Tensor | None = None
    ) -> Tensor:
        """Filter both excitations. `noise` is white, unit variance, [B, T * HOP]. Returns [B, 1, T * HOP]."""
        source = self.spectral.analyse(impulse_train(f0, uv, self.rate_hz, phase))
        breath = self.spectral.analyse(noise)
        # gains are relative to the wanted volume, so level follows the input even for unseen levels
        level = F.interpolate(vol[:, None].clamp(min=VOLUME_FLOOR), scale_factor=HOP // SUBHOP, mode="linear")
        voiced_gain = level * filters[:, 0].clamp(-12.0, 4.0).exp()
        breath_gain = level * filters[:, 1].clamp(-12.0, 4.0).exp()
        spectrum = source * torch.polar(voiced_gain, filters[:, 2]) + breath * breath_gain
        return self.spectral.synthesise(spectrum)[:, None]

    def forward(self, c: Tensor, f0: Tensor, uv: Tensor, vol: Tensor, sid: Tensor) -> Tensor:
        """Training pass: random phase and noise. See `infer` for the shapes."""
        noise = torch.randn(c.shape[0], c.shape[2] * HOP, device=c.device, dtype=torch.float32)
        phase = torch.rand(c.shape[0], device=c.device, dtype=torch.float64)
        filters = self.filters(c, f0, uv, vol, sid).float()
        return self.synthesise(f0, uv, vol, filters, noise, phase)

    @torch.inference_mode()
    def infer(
        self,
        c: Tensor,
        f0: Tensor,
        uv: Tensor,
        sid: Tensor,
        vol: Tensor | None = None,
        noise_scale: float = 0.4,
        predict_f0: bool = False,
        generator: torch.Generator | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Render audio.

        Args:
            c: content [B, C, T]. f0: Hz, interpolated [B, T]. uv: 1 voiced, 0 not [B, T].
            sid: speaker ids [B] or mixing weights [B, T, n_speakers]. vol: RMS volume [B, T], linear, required.
            noise_scale: taken for the sake of one interface; this network has no latent to sample.
            predict_f0: not offered by this network.
            generator: where the noise comes from; give one for a repeatable result.

        Returns:
            Audio [B, 1, T * 512] and the pitch used [B, T].

        Raises:
            ValueError: without `vol`, or with `predict_f0`.
        """
        if vol is None or predict_f0:
            raise ValueError("the lite generator needs the volume and cannot predict pitch")
        noise = torch.randn(c.shape[0], c.shape[2] * HOP, device=c.device, generator=generator)
        filters = self.filters(c, f0, uv, vol, sid).float()
        return self.synthesise(f0, uv, vol, filters, noise), f0
