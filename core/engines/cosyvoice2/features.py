"""What the models hear of a reference clip: mel for the flow, log mel for the speech tokenizer (for what the speaker
encoder hears see `core.features.speaker`). Audio is mono `[N]`, full scale 1.0.
"""

import math
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from core.nn.spectral import mel_filterbank

PROMPT_RATE_HZ, TOKENIZER_RATE_HZ = 24000, 16000
_N_FFT, _HOP, _N_MELS, _TOP_HZ = 1920, 480, 80, 8000.0
_LOG_N_FFT, _LOG_HOP, _LOG_MELS = 400, 160, 128


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


def n_whole_tokens(n_samples_24k: int) -> int:
    """How many tokens of 40 ms fit in a clip at 24 kHz."""
    return math.floor(n_samples_24k / (2 * _HOP))
