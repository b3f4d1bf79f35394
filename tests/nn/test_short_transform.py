"""Convolution by short transforms equals convolution."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from core.nn.short_transform import WINDOW, TransformedConv, transform_matrices


@pytest.mark.parametrize("taps", [1, 3, 7, 11, 32])
def test_the_matrices_make_a_correlation(taps: int) -> None:
    analysis, kernel, synthesis = transform_matrices(taps)
    assert analysis.shape[0] == kernel.shape[0] == synthesis.shape[1] == 47
    x, w = torch.randn(WINDOW, dtype=torch.float64), torch.randn(taps, dtype=torch.float64)
    y = synthesis @ ((kernel @ w) * (analysis @ x))
    expected = torch.stack([x[n : n + taps] @ w for n in range(WINDOW - taps + 1)])
    torch.testing.assert_close(y, expected, atol=1e-12, rtol=1e-12)


@given(
    n_rows=st.integers(1, 300),
    taps=st.sampled_from([3, 7, 11]),
    dilation=st.integers(1, 5),
    channels=st.tuples(st.integers(1, 9), st.integers(1, 9)),
)
def test_it_equals_a_direct_convolution(n_rows: int, taps: int, dilation: int, channels: tuple[int, int]) -> None:
    generator = torch.Generator().manual_seed(n_rows)
    weight = torch.randn(channels[1], channels[0], taps, generator=generator)
    bias = torch.randn(channels[1], generator=generator)
    conv = TransformedConv(weight, bias, dilation)
    rows = n_rows + (taps - 1) * dilation
    assert conv.rows_needed(n_rows) >= rows
    padded = torch.zeros(conv.rows_needed(n_rows), channels[0])
    padded[:rows] = torch.randn(rows, channels[0], generator=generator)
    expected = F.conv1d(padded[:rows].t().unsqueeze(0), weight, bias, dilation=dilation)[0].t()
    found = conv(padded, n_rows)
    assert found.is_contiguous()
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-5)


def test_the_error_is_that_of_single_precision() -> None:
    torch.manual_seed(0)
    weight, x = torch.randn(128, 128, 11) / 37.5, torch.randn(1, 128, 2000)
    exact = F.conv1d(x.double(), weight.double())[0].t()
    conv = TransformedConv(weight, None)
    padded = torch.zeros(conv.rows_needed(1990), 128)
    padded[:2000] = x[0].t()
    assert (conv(padded, 1990) - exact).abs().max() < 1e-5 * exact.std()
