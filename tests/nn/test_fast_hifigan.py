"""The decoder rearranged for a CPU gives the same numbers as the one that trains."""

import pytest
import torch

from core.nn.fast_hifigan import FastNsfHifiGan
from core.nn.hifigan import NsfHifiGan
from core.nn.noise import as_noise
from core.nn.weight_norm import fold_weight_norm


@pytest.mark.parametrize("resblock", ["1", "2"])
@pytest.mark.parametrize("channels", [32, 25])
@pytest.mark.parametrize("frames", [1, 7])
def test_same_audio_as_the_plain_decoder(resblock: str, channels: int, frames: int) -> None:
    torch.manual_seed(0)
    plain = NsfHifiGan(6, channels, [8, 4], [16, 8], resblock, [3, 7], [[1, 3, 5], [1, 3, 5]], 5, 44100).eval()
    fold_weight_norm(plain)
    fast = FastNsfHifiGan(plain)
    z, g = torch.randn(2, 6, frames), torch.randn(2, 5, 1)
    f0 = torch.full((2, frames), 220.0)
    with torch.inference_mode():
        expected = plain(z, f0, g, as_noise(torch.Generator().manual_seed(3)))
        audio = fast(z, f0, g, as_noise(torch.Generator().manual_seed(3)))
    assert audio.shape == expected.shape == (2, 1, frames * 32)
    assert torch.allclose(audio, expected, atol=1e-5)
    assert expected.std() > 0
