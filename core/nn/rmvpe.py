"""RMVPE (Wei et al., 2023): a U-Net and a GRU that see pitch through accompaniment. Log mel in, 360 pitch bins out.

Tensor names are those of the released `rmvpe.pt`. 16 kHz, hop 160; bins are 20 cents apart.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.nn.spectral import hann, mel_filterbank

N_BINS = 360
CENTS_PER_BIN, FIRST_BIN_CENTS = 20.0, 1997.3794084376191
RATE_HZ, HOP, N_FFT, N_MELS, FMIN_HZ, FMAX_HZ = 16000, 160, 1024, 128, 30.0, 8000.0
MEL_FLOOR = 1e-5
# Four halvings of time and frequency and one more in the middle: frames come in multiples of this.
FRAME_MULTIPLE = 32
_REACH = 4  # bins on each side of the peak that share in the average


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, momentum=0.01)


class ConvBlock(nn.Module):
    """Two 3x3 convolutions, normed, around a shortcut (a 1x1 where the channels change)."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before in (in_channels, out_channels):
            layers += [nn.Conv2d(before, out_channels, 3, padding=1, bias=False), _norm(out_channels)]
            layers.append(nn.ReLU())
        self.conv = nn.Sequential(*layers)
        self.shortcut = nn.Conv2d(in_channels, out_channels, 1) if in_channels != out_channels else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.conv(x) + self.shortcut(x)
        return out


def _blocks(in_channels: int, out_channels: int, count: int) -> nn.ModuleList:
    return nn.ModuleList(ConvBlock(in_channels if i == 0 else out_channels, out_channels) for i in range(count))


class _Stack(nn.Module):
    """`count` blocks in a row."""

    def __init__(self, in_channels: int, out_channels: int, count: int) -> None:
        super().__init__()
        self.conv = _blocks(in_channels, out_channels, count)

    def forward(self, x: Tensor) -> Tensor:
        for block in self.conv:
            x = block(x)
        return x


class _Encoder(nn.Module):
    """Stacks that double the channels, each followed by a 2x2 mean; keeps what each gave before the mean."""

    def __init__(self, channels: int, depth: int, count: int) -> None:
        super().__init__()
        self.bn = _norm(1)
        widths = [1, *(channels << level for level in range(depth))]
        self.layers = nn.ModuleList(_Stack(widths[i], widths[i + 1], count) for i in range(depth))

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        x, kept = self.bn(x), []
        for layer in self.layers:
            x = layer(x)
            kept.append(x)
            x = F.avg_pool2d(x, 2)
        return x, kept


class _Middle(nn.Module):
    """Stacks at the lowest resolution."""

    def __init__(self, in_channels: int, out_channels: int, depth: int, count: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            _Stack(in_channels if i == 0 else out_channels, out_channels, count) for i in range(depth)
        )

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x)
        return x


class _UpLayer(nn.Module):
    """Doubles the resolution, joins what the encoder kept there, and convolves."""

    def __init__(self, in_channels: int, out_channels: int, count: int) -> None:
        super().__init__()
        self.conv1 = nn.Sequential(
            nn.ConvTranspose2d(in_channels, out_channels, 3, 2, padding=1, output_padding=1, bias=False),
            _norm(out_channels),
            nn.ReLU(),
        )
        self.conv2 = _blocks(2 * out_channels, out_channels, count)

    def forward(self, x: Tensor, kept: Tensor) -> Tensor:
        x = torch.cat([self.conv1(x), kept], dim=1)
        for block in self.conv2:
            x = block(x)
        return x


class _Bridges(nn.Module):
    """Blocks that the released file has weights for and its authors' program never runs: held for strict loading."""

    def __init__(self, channels: int, depth: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(ConvBlock(channels << level, channels << level) for level in range(depth))


class _Decoder(nn.Module):
    def __init__(self, in_channels: int, depth: int, count: int) -> None:
        super().__init__()
        widths = [in_channels >> level for level in range(depth + 1)]
        self.layers = nn.ModuleList(_UpLayer(widths[i], widths[i + 1], count) for i in range(depth))

    def forward(self, x: Tensor, kept: list[Tensor]) -> Tensor:
        for layer, there in zip(self.layers, reversed(kept), strict=True):
            x = layer(x, there)
        return x


class _UNet(nn.Module):
    """[B, 1, T, mels] to [B, channels, T, mels]; T in multiples of 32."""

    def __init__(self, channels: int = 16, depth: int = 5, middle: int = 4, count: int = 4) -> None:
        super().__init__()
        self.encoder = _Encoder(channels, depth, count)
        self.intermediate = _Middle(channels << (depth - 1), channels << depth, middle, count)
        self.tf = _Bridges(channels, depth)
        self.decoder = _Decoder(channels << depth, depth, count)

    def forward(self, x: Tensor) -> Tensor:
        x, kept = self.encoder(x)
        x = self.decoder(self.intermediate(x), kept)
        return x


class _BiGru(nn.Module):
    def __init__(self, in_features: int, hidden: int) -> None:
        super().__init__()
        self.gru = nn.GRU(in_features, hidden, batch_first=True, bidirectional=True)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.gru(x)[0]
        return out


class Rmvpe(nn.Module):
    """The released network, E2E(4 blocks, 1 GRU)."""

    def __init__(self) -> None:
        super().__init__()
        self.unet = _UNet()
        self.cnn = nn.Conv2d(16, 3, 3, padding=1)
        self.fc = nn.Sequential(_BiGru(3 * N_MELS, 256), nn.Linear(512, N_BINS), nn.Dropout(0.25), nn.Sigmoid())

    def forward(self, mel: Tensor) -> Tensor:
        """Log mel [B, 128, T] to salience [B, T, 360] in 0..1. Any T: it is padded to a multiple of 32 and cut back."""
        n_frames = mel.shape[2]
        padded = F.pad(mel, (0, -n_frames % FRAME_MULTIPLE))
        x = self.cnn(self.unet(padded.transpose(1, 2).unsqueeze(1)))
        out: Tensor = self.fc(x.transpose(1, 2).flatten(2))
        return out[:, :n_frames]


def rmvpe_mel(wav16k: Tensor) -> Tensor:
    """Natural-log mel of wav16k [B, N] in -1..1: [B, 128, N // 160 + 1], HTK filters on centred frames."""
    window = hann(N_FFT, str(wav16k.device))
    frames = torch.stft(wav16k, N_FFT, HOP, N_FFT, window, center=True, return_complex=True)
    filters = mel_filterbank(RATE_HZ, N_FFT, N_MELS, FMIN_HZ, FMAX_HZ, htk=True)
    basis = torch.from_numpy(filters).to(wav16k.device)
    return torch.log(torch.clamp(basis @ frames.abs(), min=MEL_FLOOR))


def salience_to_hz(salience: Tensor, threshold: float = 0.05) -> Tensor:
    """Salience [..., 360] to pitch in Hz [...], 0 where nothing stands out by more than `threshold`.

    The mean of the bins' cents around the highest one, weighted by salience.
    """
    return cents_to_hz(salience_to_cents(salience, threshold))


def salience_to_cents(salience: Tensor, threshold: float = 0.05) -> Tensor:
    """The same in cents above 10 Hz, 0 where unvoiced."""
    highest, centre = salience.max(dim=-1)
    near = centre.unsqueeze(-1) + torch.arange(-_REACH, _REACH + 1, device=salience.device)
    inside = (near >= 0) & (near < N_BINS)
    near = near.clamp(0, N_BINS - 1)
    weight = salience.gather(-1, near) * inside
    cents = (weight * (FIRST_BIN_CENTS + CENTS_PER_BIN * near)).sum(-1) / weight.sum(-1)
    return torch.where(highest > threshold, cents, torch.zeros_like(cents))


def cents_to_hz(cents: Tensor) -> Tensor:
    """Cents above 10 Hz to Hz; 0 (unvoiced) stays 0."""
    return torch.where(cents > 0, 10.0 * torch.exp2(cents / 1200.0), torch.zeros_like(cents))
