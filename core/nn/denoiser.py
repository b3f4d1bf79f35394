"""The denoiser of diffusion singing synthesis: a WaveNet told how noisy its input is (DiffSVC, Liu et al., 2021)."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class NoiseLevelEmbedding(nn.Module):
    """A sinusoidal embedding of the step t [B]: [B, C], frequencies falling geometrically from 1 to 1 / 10000."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.n_rates = channels // 2

    def forward(self, t: Tensor) -> Tensor:
        rates = torch.exp(
            torch.arange(self.n_rates, device=t.device, dtype=torch.float32) * (-math.log(10000.0) / (self.n_rates - 1))
        )
        angle = t.to(torch.float32).unsqueeze(1) * rates
        return torch.cat([angle.sin(), angle.cos()], dim=1)


class DenoiserLayer(nn.Module):
    """A gated convolution with condition and noise level; half of its output goes on, half is a skip."""

    def __init__(self, condition_channels: int, channels: int) -> None:
        super().__init__()
        self.dilated_conv = nn.Conv1d(channels, 2 * channels, 3, padding=1)
        self.diffusion_projection = nn.Linear(channels, channels)
        self.conditioner_projection = nn.Conv1d(condition_channels, 2 * channels, 1)
        self.output_projection = nn.Conv1d(channels, 2 * channels, 1)

    def forward(self, x: Tensor, condition: Tensor, level: Tensor) -> tuple[Tensor, Tensor]:
        """`condition` [B, 2 C, T] is already projected; `level` is [B, C]."""
        y = self.dilated_conv(x + self.diffusion_projection(level).unsqueeze(2)) + condition
        gate, signal = y.chunk(2, dim=1)
        onward, skip = self.output_projection(torch.sigmoid(gate) * torch.tanh(signal)).chunk(2, dim=1)
        return (x + onward) / math.sqrt(2.0), skip


class Denoiser(nn.Module):
    """Noisy mel [B, 1, M, T], step [B] and condition [B, C, T] to the noise in it [B, 1, M, T]."""

    def __init__(self, n_mels: int, n_layers: int, channels: int, condition_channels: int) -> None:
        super().__init__()
        self.input_projection = nn.Conv1d(n_mels, channels, 1)
        self.diffusion_embedding = NoiseLevelEmbedding(channels)
        self.mlp = nn.Sequential(nn.Linear(channels, 4 * channels), nn.Mish(), nn.Linear(4 * channels, channels))
        self.residual_layers = nn.ModuleList(DenoiserLayer(condition_channels, channels) for _ in range(n_layers))
        self.skip_projection = nn.Conv1d(channels, channels, 1)
        self.output_projection = nn.Conv1d(channels, n_mels, 1)
        for layer in self.residual_layers.children():
            assert isinstance(layer, DenoiserLayer)
            for conv in (layer.dilated_conv, layer.conditioner_projection, layer.output_projection):
                nn.init.kaiming_normal_(conv.weight)
        nn.init.kaiming_normal_(self.input_projection.weight)
        nn.init.kaiming_normal_(self.skip_projection.weight)
        nn.init.zeros_(self.output_projection.weight)

    def project(self, condition: Tensor) -> list[Tensor]:
        """The condition as every layer sees it. It is the same at every step, so a sampler computes it once."""
        return [layer.conditioner_projection(condition) for layer in self.residual_layers.children()]  # type: ignore[operator]

    def forward(self, x: Tensor, t: Tensor, condition: Tensor | list[Tensor]) -> Tensor:
        """`condition` may come already projected (`project`)."""
        projected = self.project(condition) if isinstance(condition, Tensor) else condition
        x = F.relu(self.input_projection(x[:, 0]))
        level = self.mlp(self.diffusion_embedding(t))
        total: Tensor | None = None
        for layer, part in zip(self.residual_layers, projected, strict=True):
            x, skip = layer(x, part, level)
            total = skip if total is None else total + skip
        assert total is not None
        x = F.relu(self.skip_projection(total / math.sqrt(len(self.residual_layers))))
        return self.output_projection(x).unsqueeze(1)
