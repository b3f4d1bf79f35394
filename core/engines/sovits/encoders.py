"""The three encoders of a so-vits-svc generator: prior (text), posterior (spectrogram), and pitch."""

from typing import cast

import torch
from torch import Tensor, nn

from core.engines.sovits.pitch import N_BINS
from core.nn.attention import CausalDecoder, RelativeEncoder
from core.nn.noise import Noise
from core.nn.wavenet import WaveNet

POSTERIOR_LAYERS = 16
POSTERIOR_KERNEL = 5


class PriorEncoder(nn.Module):
    """Content and pitch to the mean and log deviation of the latent, frame by frame."""

    def __init__(
        self,
        inter_channels: int,
        hidden_channels: int,
        filter_channels: int,
        n_heads: int,
        n_layers: int,
        kernel_size: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.proj = nn.Conv1d(hidden_channels, 2 * inter_channels, 1)
        self.f0_emb = nn.Embedding(N_BINS, hidden_channels)
        self.enc_ = RelativeEncoder(hidden_channels, filter_channels, n_heads, n_layers, kernel_size, dropout)

    def forward(self, x: Tensor, mask: Tensor, bins: Tensor) -> tuple[Tensor, Tensor]:
        """x [B, H, T], mask [B, 1, T], pitch bins int64 [B, T]; returns mean and log deviation [B, inter, T]."""
        x = x + self.f0_emb(bins).transpose(1, 2)
        mean, logs = (self.proj(self.enc_(x * mask, mask)) * mask).chunk(2, dim=1)
        return mean, logs


class PosteriorEncoder(nn.Module):
    """Linear spectrogram to the latent. Used in training only."""

    def __init__(
        self, spec_bins: int, inter_channels: int, hidden_channels: int, gin_channels: int, depthwise: bool = False
    ) -> None:
        super().__init__()
        self.pre = nn.Conv1d(spec_bins, hidden_channels, 1)
        self.enc = WaveNet(hidden_channels, POSTERIOR_KERNEL, POSTERIOR_LAYERS, gin_channels, depthwise)
        self.proj = nn.Conv1d(hidden_channels, 2 * inter_channels, 1)

    def forward(self, spec: Tensor, mask: Tensor, condition: Tensor, noise: Noise) -> tuple[Tensor, Tensor, Tensor]:
        """spec [B, bins, T]; returns a sample, its mean and log deviation, each [B, inter, T]."""
        x = self.enc(self.pre(spec) * mask, mask, condition)
        mean, logs = (self.proj(x) * mask).chunk(2, dim=1)
        sample = (mean + noise.normal(mean.shape, mean) * torch.exp(logs)) * mask
        return sample, mean, logs


class PitchDecoder(nn.Module):
    """Predicts log pitch from content and speaker: automatic pitch, for speech."""

    def __init__(
        self,
        hidden_channels: int,
        filter_channels: int,
        n_heads: int,
        n_layers: int,
        kernel_size: int,
        dropout: float,
        gin_channels: int,
    ) -> None:
        super().__init__()
        self.prenet = nn.Conv1d(hidden_channels, hidden_channels, 3, padding=1)
        self.decoder = CausalDecoder(hidden_channels, filter_channels, n_heads, n_layers, kernel_size, dropout)
        self.proj = nn.Conv1d(hidden_channels, 1, 1)
        self.f0_prenet = nn.Conv1d(1, hidden_channels, 3, padding=1)
        self.cond = nn.Conv1d(gin_channels, hidden_channels, 1)

    def forward(self, x: Tensor, normal_lf0: Tensor, mask: Tensor, condition: Tensor) -> Tensor:
        """x [B, H, T] (no gradient flows back to it), normalised log pitch [B, 1, T]; returns log pitch [B, 1, T]."""
        x = x.detach() + self.cond(condition) + self.f0_prenet(normal_lf0)
        x = self.prenet(x) * mask
        return cast(Tensor, self.proj(self.decoder(x, mask)) * mask)
