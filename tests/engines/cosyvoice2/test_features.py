"""Mel, log mel and filter banks beside the libraries that upstream uses."""

import librosa
import numpy as np
import torch

from core.audio.synthetic import MAN, recording
from core.engines.cosyvoice2.features import prompt_mel, tokenizer_mel

AUDIO = torch.from_numpy(recording(1.0, MAN)[0])[:16000]


def test_prompt_mel_is_librosas() -> None:
    filters = librosa.filters.mel(sr=24000, n_fft=1920, n_mels=80, fmin=0, fmax=8000)
    padded = np.pad(AUDIO.numpy(), 720, mode="reflect")
    magnitude = np.abs(librosa.stft(padded, n_fft=1920, hop_length=480, center=False))
    expected = np.log(np.maximum(filters @ np.sqrt(magnitude**2 + 1e-9), 1e-5))
    ours = prompt_mel(AUDIO)
    assert ours.shape == (1, 80, len(AUDIO) // 480)
    np.testing.assert_allclose(ours[0], expected, atol=1e-3)


def test_tokenizer_mel_is_whispers() -> None:
    filters = librosa.filters.mel(sr=16000, n_fft=400, n_mels=128)
    power = np.abs(librosa.stft(AUDIO.numpy(), n_fft=400, hop_length=160, pad_mode="reflect")[:, :-1]) ** 2
    logs = np.log10(np.maximum(filters @ power, 1e-10))
    expected = (np.maximum(logs, logs.max() - 8) + 4) / 4
    ours = tokenizer_mel(AUDIO)
    assert ours.shape == (1, 128, 100)
    np.testing.assert_allclose(ours[0], expected, atol=1e-3)
