"""A small discriminator for the `lite` preset: convolutions over spectrograms at several resolutions.

The idea is the multi-resolution spectrogram discriminator of UnivNet (Jang et al., Interspeech 2021, section 2.2),
with few channels and frequency strides, so that a step stays affordable on a CPU.
"""

import itertools
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import weight_norm

RESOLUTIONS = ((512, 128), (1024, 256), (2048, 512))
"""(FFT length, hop) in samples."""


class SpectrogramDiscriminator(nn.Module):
    """Judges patches of one log-magnitude spectrogram. Audio [B, N] -> (logits [B, *], feature maps)."""

    window: Tensor

    def __init__(self, n_fft: int, hop: int, channels: int = 16) -> None:
        super().__init__()
        self.n_fft, self.hop = n_fft, hop
        self.register_buffer("window", torch.hann_window(n_fft), persistent=False)
        widths = [1, channels, channels * 2, channels * 2, channels * 2]
        self.layers = nn.ModuleList(
            weight_norm(nn.Conv2d(a, b, (5, 3), stride=(2, 1), padding=(2, 1))) for a, b in itertools.pairwise(widths)
        )
        self.judge = weight_norm(nn.Conv2d(widths[-1], 1, 3, padding=1))

    def forward(self, audio: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Feature maps come after each activation, the shallowest first."""
        spectrum = torch.stft(audio, self.n_fft, self.hop, window=self.window, return_complex=True)
        x = torch.log(spectrum.abs() + 1e-2)[:, None]
        maps = []
        for layer in self.layers:
            x = F.leaky_relu(layer(x), 0.1)
            maps.append(x)
        return cast(Tensor, self.judge(x)).flatten(1), maps


class MultiResolutionDiscriminator(nn.Module):
    """One `SpectrogramDiscriminator` for each of `RESOLUTIONS`."""

    def __init__(self, channels: int = 16) -> None:
        super().__init__()
        self.parts = nn.ModuleList(SpectrogramDiscriminator(n_fft, hop, channels) for n_fft, hop in RESOLUTIONS)

    def forward(self, audio: Tensor) -> list[tuple[Tensor, list[Tensor]]]:
        """Audio [B, N] -> logits and feature maps of every resolution."""
        return [part(audio) for part in self.parts]
