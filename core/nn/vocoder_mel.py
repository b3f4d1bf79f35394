"""The log mel that openvpi's vocoders and so-vits-svc's diffusion read (44.1 kHz: 128 mels, 40 Hz to 16 kHz).

It differs from `core.nn.spectral` in the floor inside the root (1e-9) and in the key shift: a window longer by
2^(k / 12) makes a sound appear k semitones lower, which training uses to show a model other pitches.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from core.nn.spectral import MEL_FLOOR, hann, mel_matrix

POWER_FLOOR = 1e-9


class VocoderMel:
    """The analysis of one vocoder; sizes in samples."""

    def __init__(
        self,
        rate_hz: int = 44100,
        n_mels: int = 128,
        n_fft: int = 2048,
        win: int = 2048,
        hop: int = 512,
        fmin_hz: float = 40.0,
        fmax_hz: float = 16000.0,
    ) -> None:
        self.rate_hz, self.n_mels, self.n_fft, self.win, self.hop = rate_hz, n_mels, n_fft, win, hop
        self.fmin_hz, self.fmax_hz = fmin_hz, fmax_hz

    def __call__(self, wav: Tensor, keyshift: float = 0.0) -> Tensor:
        """Natural-log mel, floored at 1e-5, of wav [B, N] in -1..1: float32 [B, n_mels, T].

        `keyshift`: semitones. T is N // hop; with a shift whose window is odd it may be one more.
        """
        factor = 2.0 ** (keyshift / 12)
        n_fft, win = round(self.n_fft * factor), round(self.win * factor)
        left = (win - self.hop) // 2
        right = max((win - self.hop + 1) // 2, win - wav.shape[-1] - left)
        # Reflection needs more signal than padding.
        mode = "reflect" if right < wav.shape[-1] else "constant"
        padded = F.pad(wav.float().unsqueeze(1), (left, right), mode).squeeze(1)
        frames = torch.stft(
            padded, n_fft, self.hop, win, hann(win, str(wav.device)), center=False, onesided=True, return_complex=True
        )
        magnitude = torch.sqrt(frames.real.square() + frames.imag.square() + POWER_FLOOR)
        if keyshift:
            bins = self.n_fft // 2 + 1
            magnitude = F.pad(magnitude, (0, 0, 0, max(0, bins - magnitude.shape[1])))[:, :bins] * (self.win / win)
        basis = mel_matrix(self.rate_hz, self.n_fft, self.n_mels, self.fmin_hz, self.fmax_hz, str(wav.device))
        return torch.log(torch.clamp(basis @ magnitude, min=MEL_FLOOR))
