"""Changes to the input that keep what is said and hide who says it.

All of it works on power spectra, so no waveform is touched while training.
Shapes: B items, M mel frames (100 a second), N_BINS spectrum bins, K mel bands.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from core.features.encoders.builtin import N_MELS, level_free, mel_bank

WARPS = torch.exp(torch.linspace(-0.26, 0.26, 53))
"""Frequency warps 0.77 .. 1.30."""


class Augment:
    """Random views of power spectra as network input; ``shifted`` items get a narrower warp."""

    def __init__(self, seed: int) -> None:
        self._banks = torch.stack([mel_bank(float(w)) for w in WARPS])
        self._rng = torch.Generator().manual_seed(seed)

    def __call__(self, log_power: Tensor, shifted: Tensor) -> Tensor:
        """[B, M, N_BINS] log power and [B] bool to [B, M, K] level-free log-mels."""
        power = self._blur(log_power.float().exp())
        mel = torch.bmm(power, self._banks[self._warp(shifted)])
        mel = self._reverb(mel * self._channel(len(mel)))
        mel = self._band_limit(self._noise(mel))
        gain_db = self._uniform((len(mel), 1, 1), -30, 8)
        return self._mask(level_free(mel * 10 ** (gain_db / 10)))

    def _uniform(self, shape: tuple[int, ...], low: float, high: float) -> Tensor:
        return torch.rand(shape, generator=self._rng) * (high - low) + low

    def _chance(self, n: int, p: float) -> Tensor:
        return torch.rand(n, generator=self._rng) < p

    def _warp(self, shifted: Tensor) -> Tensor:
        middle = len(WARPS) // 2
        reach = torch.where(shifted, middle // 2, middle)
        return middle + (self._uniform((len(shifted),), -1, 1) * reach).round().long()

    def _blur(self, power: Tensor) -> Tensor:
        """Smears harmonics of a third of the items: the envelope stays, the pitch goes."""
        for item in torch.nonzero(self._chance(len(power), 0.35)).flatten().tolist():
            size = 3 + 2 * int(torch.randint(4, (1,), generator=self._rng))
            power[item] = F.avg_pool1d(power[item], size, stride=1, padding=size // 2, count_include_pad=False)
        return power

    def _channel(self, n: int) -> Tensor:
        """Random tilt and equaliser: a few cosines over the mel axis, [B, 1, K] power gains."""
        position = torch.linspace(0, torch.pi, N_MELS)
        orders = torch.arange(1, 7)[:, None]
        shapes = torch.cos(orders * position)
        size_db = torch.randn(n, 6, generator=self._rng) * (6.0 / orders[:, 0] ** 0.5)
        return 10 ** ((size_db @ shapes)[:, None] / 10)

    def _reverb(self, mel: Tensor) -> Tensor:
        """An exponential tail after the direct sound for a quarter of the items."""
        chosen = torch.nonzero(self._chance(len(mel), 0.25)).flatten()
        if len(chosen) == 0:
            return mel
        n_taps = 40
        rt60_frames = self._uniform((len(chosen), 1), 15, 60)
        tail = 10 ** (-6 * torch.arange(1, n_taps) / rt60_frames)
        tail = tail / tail.sum(1, keepdim=True) * 10 ** (self._uniform((len(chosen), 1), -18, -4) / 10)
        kernel = torch.cat([torch.ones(len(chosen), 1), tail], 1).flip(1)
        x = F.pad(mel[chosen].permute(2, 0, 1), (n_taps - 1, 0))
        wet = F.conv1d(x, kernel[:, None], groups=len(chosen)).permute(1, 2, 0)
        return mel.index_copy(0, chosen, wet)

    def _noise(self, mel: Tensor) -> Tensor:
        """Coloured noise under two thirds of the items, another item's speech under a few."""
        n = len(mel)
        level = mel.mean((1, 2), keepdim=True)
        colour = self._channel(n)
        colour = colour / colour.mean(-1, keepdim=True)
        grain = -torch.log(torch.rand(2, *mel.shape, generator=self._rng).clamp(min=1e-6)).mean(0)
        snr_db = self._uniform((n, 1, 1), 2, 40)
        on = self._chance(n, 0.7)[:, None, None]
        noise = colour * grain * level * 10 ** (-snr_db / 10)
        other = mel.roll(1, 0)
        other_db = self._uniform((n, 1, 1), -28, -10)
        babble = other / other.mean((1, 2), keepdim=True).clamp(min=1e-9) * level * 10 ** (other_db / 10)
        heard = self._chance(n, 0.15)[:, None, None]
        return mel + noise * on + babble * heard

    def _band_limit(self, mel: Tensor) -> Tensor:
        """A fifth of the items lose what is above 3.2 .. 7 kHz, some what is below 300 Hz."""
        band = torch.arange(N_MELS)
        top = self._uniform((len(mel), 1), 54, 76)
        cut = (band > top) & self._chance(len(mel), 0.2)[:, None]
        cut |= (band < self._uniform((len(mel), 1), 3, 12)) & self._chance(len(mel), 0.1)[:, None]
        return mel * torch.where(cut, 1e-5, 1.0)[:, None]

    def _mask(self, x: Tensor) -> Tensor:
        """Up to two time and two frequency masks an item, filled with the item's lowest value."""
        n, frames, bands = x.shape
        keep = torch.ones(n, frames, bands, dtype=torch.bool)
        for _ in range(2):
            for size, longest, axis in ((frames, 20, 1), (bands, 12, 2)):
                width = self._uniform((n, 1), 0, longest) * self._chance(n, 0.6)[:, None]
                start = self._uniform((n, 1), 0, 1) * (size - width)
                at = torch.arange(size)
                hidden = (at >= start) & (at < start + width)
                keep &= ~hidden.unsqueeze(2 if axis == 1 else 1)
        return torch.where(keep, x, x.amin((1, 2), keepdim=True))
