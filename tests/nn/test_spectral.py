"""Spectrograms and mels against upstream's numbers and librosa's filters."""

from pathlib import Path

import numpy as np
import torch

from core.nn.spectral import mel_filterbank, mel_from_spectrogram, mel_spectrogram, spectrogram


def test_spectrogram_and_mel_match_upstream(shared_dir: Path) -> None:
    data = np.load(shared_dir / "fixtures" / "sovits" / "volume_spec_mel.npz")
    wav = torch.from_numpy(data["wav"])
    spec = spectrogram(wav.unsqueeze(0))
    np.testing.assert_allclose(spec.numpy(), data["spec"], atol=1e-4)
    np.testing.assert_allclose(mel_from_spectrogram(spec).numpy(), data["mel80"], atol=1e-5)
    np.testing.assert_allclose(mel_spectrogram(wav).numpy(), data["mel80_b"][0], atol=1e-5)
    np.testing.assert_allclose(mel_filterbank(), data["mel_basis80"], atol=1e-7)
    np.testing.assert_allclose(mel_filterbank(44100, 2048, 128, 40, 16000), data["mel_basis128"], atol=1e-7)


def test_filters_are_triangles_of_unit_area() -> None:
    filters = mel_filterbank(16000, 4096, 40, 100.0, 7000.0)
    width_hz = 16000 / 4096
    np.testing.assert_allclose(filters.sum(axis=1) * width_hz, 1.0, atol=0.02)
    for row in filters:
        peak = row.argmax()
        assert (np.diff(row[: peak + 1]) >= 0).all()
        assert (np.diff(row[peak:]) <= 0).all()


def test_a_sine_peaks_in_its_bin() -> None:
    wav = 0.5 * torch.sin(2 * torch.pi * (100 * 44100 / 2048) * torch.arange(8192) / 44100)
    spec = spectrogram(wav)
    assert spec.shape == (1025, 16)
    assert (spec[:, 4:-4].argmax(dim=0) == 100).all()


def test_silence_is_the_floor_and_has_a_finite_gradient() -> None:
    wav = torch.zeros(1, 4096, requires_grad=True)
    mel = mel_spectrogram(wav)
    mel.sum().backward()
    assert wav.grad is not None
    assert torch.isfinite(wav.grad).all()
    assert torch.isfinite(mel).all()


def test_a_call_in_inference_mode_does_not_spoil_training() -> None:
    with torch.inference_mode():
        mel_spectrogram(torch.zeros(1, 4096), n_mels=33)
    wav = torch.randn(1, 4096, requires_grad=True)
    mel_spectrogram(wav, n_mels=33).sum().backward()
    assert wav.grad is not None
