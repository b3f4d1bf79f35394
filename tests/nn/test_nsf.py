"""The harmonic source against upstream's numbers and against the sines it should be."""

import math
from pathlib import Path

import numpy as np
import torch

from core.nn.noise import Noise, NoNoise
from core.nn.nsf import HarmonicSource, SineSource, fundamental_phase


def test_sines_match_upstream(shared_dir: Path) -> None:
    data = np.load(shared_dir / "fixtures" / "sovits" / "sinegen.npz")
    sines = SineSource(44100, 512)(torch.from_numpy(data["f0"]), NoNoise())
    assert np.abs(sines.numpy() - data["decoder_sine"]).max() < 3e-5  # upstream's own float32 drift


def test_phase_is_exact_over_a_minute() -> None:
    n_frames = 60 * 44100 // 512
    f0 = 100 + 300 * torch.rand(1, n_frames)
    phase = fundamental_phase(f0, 512, 44100)[0].numpy()
    steps = np.repeat(f0[0].double().numpy() / 44100, 512)
    expected = np.cumsum(steps.astype(np.longdouble)) % 1.0
    turn = np.abs(phase - expected.astype(np.float64))
    assert np.minimum(turn, 1 - turn).max() < 1e-9


def test_a_steady_pitch_gives_steady_sines() -> None:
    f0 = torch.full((1, 4), 441.0)
    sines = SineSource(44100, 512)(f0, NoNoise())[0].numpy()
    n = np.arange(1, 4 * 512 + 1)
    for harmonic in range(1, 10):
        expected = 0.1 * np.sin(2 * math.pi * harmonic * 0.01 * n)
        assert np.abs(sines[:, harmonic - 1] - expected).max() < 1e-6


def test_unvoiced_frames_hold_noise_only() -> None:
    generator = torch.Generator().manual_seed(3)
    f0 = torch.tensor([[200.0, 0.0, 0.0, 200.0]])
    sines = SineSource(44100, 512)(f0, Noise(generator))[0]
    unvoiced = sines[512:1536]
    assert abs(unvoiced.std().item() - 0.1 / 3) < 0.002
    assert (SineSource(44100, 512)(f0, NoNoise())[0, 512:1536] == 0).all()


def test_a_seed_repeats_the_source_and_leaves_the_default_generator_alone() -> None:
    source, f0 = HarmonicSource(44100, 512), torch.full((2, 3), 150.0)
    state = torch.get_rng_state()
    first = source(f0, Noise(torch.Generator().manual_seed(5)))
    second = source(f0, Noise(torch.Generator().manual_seed(5)))
    assert first.shape == (2, 1, 3 * 512)
    assert torch.equal(first, second)
    assert torch.equal(state, torch.get_rng_state())
