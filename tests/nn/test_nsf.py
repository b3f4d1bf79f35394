"""The harmonic source against upstream's numbers and against the sines it should be."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from core.nn.noise import Noise, NoNoise
from core.nn.nsf import FirstFrameSineSource, HarmonicSource, SineSource, running_phase


class Half(NoNoise):
    """Halves for every uniform number, zeros for every normal one."""

    def uniform(self, shape: Sequence[int], like: Tensor) -> Tensor:
        return torch.full(tuple(shape), 0.5)


@pytest.mark.parametrize(
    ("source", "name", "atol"),
    # The decoder's own sum runs in float32 upstream, which drifts; the vocoder's does not.
    [(SineSource, "decoder_sine", 3e-6), (FirstFrameSineSource, "openvpi_sine", 1e-6)],
)
def test_sines_match_upstream(shared_dir: Path, source: type[SineSource], name: str, atol: float) -> None:
    data = np.load(shared_dir / "fixtures" / "sovits" / "sinegen.npz")
    sines = source(44100, 512)(torch.from_numpy(data["f0"]), NoNoise())
    assert np.abs(sines.numpy() - data[name]).max() < atol


@pytest.mark.parametrize("hop", [512, 12, 7])
def test_phase_is_exact_over_a_minute(hop: int) -> None:
    n_frames = 60 * 44100 // 512
    step = torch.rand(1, n_frames, 1) * 0.2
    phase = running_phase(step, hop)[0, :, 0].double().numpy()
    expected = np.cumsum(np.repeat(step[0, :, 0].numpy(), hop).astype(np.longdouble)) % 1.0
    turn = np.abs(phase - expected.astype(np.float64)) % 1.0
    assert np.minimum(turn, 1 - turn).max() < 2e-6


def test_a_random_start_turns_overtones_only() -> None:
    f0 = torch.full((1, 2), 100.0)
    silent, random = (SineSource(44100, 512)(f0, noise) for noise in (NoNoise(), Half()))
    assert torch.equal(silent[..., 0], random[..., 0])
    torch.testing.assert_close(silent[..., 1], -random[..., 1])  # half a turn


def test_a_steady_pitch_gives_steady_sines() -> None:
    f0 = torch.full((1, 4), 441.0)
    sines = SineSource(44100, 512)(f0, NoNoise())[0].numpy()
    n = np.arange(1, 4 * 512 + 1)
    for harmonic in range(1, 10):
        expected = 0.1 * np.sin(2 * math.pi * harmonic * 0.01 * n)
        assert np.abs(sines[:, harmonic - 1] - expected).max() < 1e-5  # steps are rounded to float32


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
