"""The transformer stacks: bands, masks, causality."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from core.nn.attention import CausalDecoder, ChannelNorm, RelativeEncoder, SelfAttention, place_band, take_band


@given(n_frames=st.integers(1, 12), window=st.integers(1, 5))
def test_bands_go_to_their_diagonals_and_back(n_frames: int, window: int) -> None:
    band = torch.randn(2, n_frames, 2 * window + 1)
    square = place_band(band, window)
    assert square.shape == (2, n_frames, n_frames)
    for i in range(n_frames):
        for j in range(n_frames):
            r = j - i + window
            expected = band[:, i, r] if 0 <= r <= 2 * window else torch.zeros(2)
            assert torch.equal(square[:, i, j], expected)
    back = take_band(square, window)
    columns = torch.arange(n_frames)[:, None] + torch.arange(2 * window + 1) - window
    inside = (columns >= 0) & (columns < n_frames)
    assert torch.equal(back, band * inside)


def test_windowed_attention_equals_the_formula_written_out() -> None:
    torch.manual_seed(0)
    attention = SelfAttention(8, n_heads=2, window=2)
    x, n_frames = torch.randn(1, 8, 6), 6
    q, k, v = (conv(x)[0].view(2, 4, n_frames) for conv in (attention.conv_q, attention.conv_k, attention.conv_v))
    out = torch.zeros(2, 4, n_frames)
    for head in range(2):
        for i in range(n_frames):
            scores = torch.zeros(n_frames)
            for j in range(n_frames):
                key = k[head, :, j]
                if abs(j - i) <= 2:
                    key = key + attention.emb_rel_k[0, j - i + 2]
                scores[j] = q[head, :, i] @ key / 2.0
            for j, weight in enumerate(torch.softmax(scores, 0)):
                value = v[head, :, j]
                if abs(j - i) <= 2:
                    value = value + attention.emb_rel_v[0, j - i + 2]
                out[head, :, i] += weight * value
    expected = attention.conv_o(out.reshape(1, 8, n_frames))
    torch.testing.assert_close(attention(x, torch.ones(1, 1, n_frames)), expected, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("stack", [RelativeEncoder(8, 16, 2, 2, 3), CausalDecoder(8, 16, 2, 2, 3)])
def test_padding_does_not_reach_the_clip(stack: torch.nn.Module) -> None:
    stack.eval()
    x = torch.randn(1, 8, 10)
    mask = (torch.arange(10) < 7).float().view(1, 1, 10)
    other = torch.where(mask.bool(), x, torch.randn(1, 8, 10))
    torch.testing.assert_close(stack(x, mask), stack(other, mask))
    assert stack(x, mask)[:, :, 7:].abs().max() == 0


def test_the_causal_decoder_never_looks_ahead() -> None:
    decoder = CausalDecoder(8, 16, 2, 2, 3).eval()
    x = torch.randn(1, 8, 10)
    changed = x.clone()
    changed[:, :, 6:] += 1.0
    mask = torch.ones(1, 1, 10)
    before, after = decoder(x, mask), decoder(changed, mask)
    torch.testing.assert_close(before[:, :, :6], after[:, :, :6])
    assert (before[:, :, 6:] - after[:, :, 6:]).abs().max() > 1e-3


def test_channel_norm_has_zero_mean_and_unit_spread() -> None:
    x = ChannelNorm(16)(torch.randn(2, 16, 5) * 3 + 1)
    torch.testing.assert_close(x.mean(dim=1), torch.zeros(2, 5), atol=1e-5, rtol=0)
    torch.testing.assert_close(x.std(dim=1, correction=0), torch.ones(2, 5), atol=1e-3, rtol=0)
