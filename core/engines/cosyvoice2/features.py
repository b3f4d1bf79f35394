"""What the models hear of a reference clip: mel for the flow, log mel for the speech tokenizer, filter banks for the
speaker encoder. Audio is mono `[N]`, full scale 1.0.
"""

import math
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from core.nn.spectral import mel_filterbank

PROMPT_RATE_HZ, TOKENIZER_RATE_HZ = 24000, 16000
_N_FFT, _HOP, _N_MELS, _TOP_HZ = 1920, 480, 80, 8000.0
_LOG_N_FFT, _LOG_HOP, _LOG_MELS = 400, 160, 128
_BANK_FRAME, _BANK_HOP, _BANK_FFT, _BANK_MELS = 400, 160, 512, 80
_BANK_LOW_HZ, _PRE_EMPHASIS = 20.0, 0.97


@lru_cache(maxsize=4)
def _filters(rate_hz: int, n_fft: int, n_mels: int, top_hz: float) -> Tensor:
    return torch.from_numpy(mel_filterbank(rate_hz, n_fft, n_mels, 0.0, top_hz))


def prompt_mel(audio: Tensor) -> Tensor:
    """The flow's mel [1, 80, N // 480] of audio at 24 kHz: natural log of magnitudes on Slaney's scale."""
    side = (_N_FFT - _HOP) // 2
    padded = F.pad(audio[None, None], (side, side), "reflect")[0]
    spectrum = torch.stft(padded, _N_FFT, _HOP, window=torch.hann_window(_N_FFT), center=False, return_complex=True)
    magnitude = (torch.view_as_real(spectrum).square().sum(-1) + 1e-9).sqrt()
    return (_filters(PROMPT_RATE_HZ, _N_FFT, _N_MELS, _TOP_HZ) @ magnitude).clamp(min=1e-5).log()


def tokenizer_mel(audio: Tensor) -> Tensor:
    """The speech tokenizer's log mel [1, 128, N // 160] of audio at 16 kHz, as Whisper has it: about -1 to 1."""
    spectrum = torch.stft(audio, _LOG_N_FFT, _LOG_HOP, window=torch.hann_window(_LOG_N_FFT), return_complex=True)
    power = spectrum[..., :-1].abs().square()
    logs = (_filters(TOKENIZER_RATE_HZ, _LOG_N_FFT, _LOG_MELS, 8000.0) @ power).clamp(min=1e-10).log10()
    return ((torch.maximum(logs, logs.max() - 8.0) + 4.0) / 4.0)[None]


@lru_cache(maxsize=1)
def _bank() -> Tensor:
    """Kaldi's triangles [80, 257]: straight on the mel scale 1127 ln(1 + f / 700), from 20 Hz to half the rate."""
    mel = lambda hz: 1127.0 * np.log1p(np.asarray(hz) / 700.0)  # noqa: E731
    edges = np.linspace(mel(_BANK_LOW_HZ), mel(TOKENIZER_RATE_HZ / 2), _BANK_MELS + 2)
    bins = mel(np.arange(_BANK_FFT // 2 + 1) * TOKENIZER_RATE_HZ / _BANK_FFT)
    left, centre, right = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    triangles = np.minimum((bins - left) / (centre - left), (right - bins) / (right - centre)).clip(min=0)
    triangles[:, -1] = 0  # Kaldi has no filter over the last bin
    return torch.from_numpy(triangles.astype(np.float32))


def speaker_bank(audio: Tensor) -> Tensor:
    """The speaker encoder's features [1, T, 80] of audio at 16 kHz: Kaldi's log filter bank, its mean taken off.

    Frames of 25 ms every 10 ms, each without its mean, emphasised and under Povey's window; powers.
    """
    frames = audio.unfold(0, _BANK_FRAME, _BANK_HOP)
    frames = frames - frames.mean(dim=1, keepdim=True)
    frames = frames - _PRE_EMPHASIS * torch.cat([frames[:, :1], frames[:, :-1]], dim=1)
    window = torch.hann_window(_BANK_FRAME, periodic=False).pow(0.85)
    power = torch.fft.rfft(frames * window, _BANK_FFT).abs().square()
    logs = (power @ _bank().T).clamp(min=torch.finfo(torch.float32).eps).log()
    return (logs - logs.mean(dim=0, keepdim=True))[None]


def n_whole_tokens(n_samples_24k: int) -> int:
    """How many tokens of 40 ms fit in a clip at 24 kHz."""
    return math.floor(n_samples_24k / (2 * _HOP))
