"""The rearranged decoder gives the decoder's numbers, whatever the sizes and however the signal is cut into pieces."""

import pytest
import torch

from core.nn import fast_hifigan
from core.nn.fast_hifigan import FastNsfHifiGan
from core.nn.hifigan import NsfHifiGan
from core.nn.noise import NoNoise
from core.nn.weight_norm import fold_weight_norm


def decoder(initial: int, resblock: str = "1") -> NsfHifiGan:
    torch.manual_seed(initial)
    net = NsfHifiGan(6, initial, (8, 4), (16, 8), resblock, (3, 7, 11), ((1, 3, 5),) * 3, 4, 44100).eval()
    return net.requires_grad_(False)


def both(
    net: NsfHifiGan, n_frames: int, frames_of_condition: int = 1, batch: int = 1
) -> tuple[torch.Tensor, torch.Tensor]:
    """Audio of the decoder as it is, and of its rearrangement."""
    z, f0 = torch.randn(batch, 6, n_frames), 200 + 50 * torch.rand(batch, n_frames)
    condition = torch.randn(batch, 4, frames_of_condition)
    expected = net(z, f0, condition, NoNoise())
    fold_weight_norm(net)
    return FastNsfHifiGan(net)(z, f0, condition, NoNoise()), expected


@pytest.mark.parametrize("initial", [256, 100, 36])  # transformed and direct; odd numbers of channels
@pytest.mark.parametrize("resblock", ["1", "2"])
def test_the_same_audio(initial: int, resblock: str) -> None:
    fast, plain = both(decoder(initial, resblock), 23)
    assert fast.shape == plain.shape == (1, 1, 23 * 32)
    torch.testing.assert_close(fast, plain, atol=2e-6, rtol=1e-5)


@pytest.mark.parametrize("piece_values", [2**11, 2**14])
def test_pieces_join_without_a_trace(monkeypatch: pytest.MonkeyPatch, piece_values: int) -> None:
    monkeypatch.setattr(fast_hifigan, "PIECE_VALUES", piece_values)
    fast, plain = both(decoder(64), 30)
    torch.testing.assert_close(fast, plain, atol=2e-6, rtol=1e-5)


def test_a_batch_and_a_speaker_that_changes() -> None:
    fast, plain = both(decoder(64), 9, frames_of_condition=9, batch=2)
    torch.testing.assert_close(fast, plain, atol=2e-6, rtol=1e-5)


def test_without_a_speaker() -> None:
    net = NsfHifiGan(6, 64, (8, 4), (16, 8), "1", (3,), ((1, 3, 5),), 0, 44100).eval().requires_grad_(False)
    z, f0 = torch.randn(1, 6, 9), torch.full((1, 9), 200.0)
    plain = net(z, f0, None, NoNoise())
    fold_weight_norm(net)
    torch.testing.assert_close(FastNsfHifiGan(net)(z, f0, None, NoNoise()), plain, atol=2e-6, rtol=1e-5)


def test_one_frame() -> None:
    fast, plain = both(decoder(128), 1)
    torch.testing.assert_close(fast, plain, atol=2e-6, rtol=1e-5)
