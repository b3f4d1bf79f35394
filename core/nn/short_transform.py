"""Long 1-D convolutions of many channels by short Fourier transforms, as three batches of matrix products.

A convolution with k taps costs k products of a [C, C] matrix for each sample. Cut into windows of 32 samples, Fourier
transformed, the same convolution costs one product for each frequency of a window and gives 32 - k + 1 samples: 47 real
products (two for the real frequencies, three for each of the 15 complex ones, by Gauss's way of multiplying complex
numbers with three real products) instead of 22 * 11 for eleven taps, which is a fifth. The transforms themselves are
small matrices, applied as matrix products too, so that a matrix library runs all three steps near the processor's
peak. (The family of algorithms: Winograd, "Arithmetic Complexity of Computations", 1980; here with the points at the
roots of unity, where it is as well conditioned as an FFT.)

Signals are rows: [N, C], one row a sample. Results differ from a direct convolution by about 1e-6 of their size.
"""

import math

import torch
from torch import Tensor, nn

WINDOW = 32


def transform_matrices(taps: int, window: int = WINDOW) -> tuple[Tensor, Tensor, Tensor]:
    """Matrices of a correlation y[n] = sum_j w[j] x[n + j] as y = synthesis @ ((kernel @ w) * (analysis @ x)).

    Returns analysis [M, window], kernel [M, taps], synthesis [window - taps + 1, M], float64, M = 3 window / 2 - 1.
    """
    times, shifts = torch.arange(window, dtype=torch.float64), torch.arange(taps, dtype=torch.float64)
    outputs = torch.arange(window - taps + 1, dtype=torch.float64)
    analysis, kernel, synthesis = [], [], []
    for index in range(window // 2 + 1):
        angle = 2 * math.pi * index / window
        x_re, x_im = torch.cos(angle * times), -torch.sin(angle * times)
        # A correlation multiplies by the conjugate of the kernel's transform.
        w_re, w_im = torch.cos(angle * shifts), torch.sin(angle * shifts)
        y_re, y_im = torch.cos(angle * outputs), -torch.sin(angle * outputs)
        if index in (0, window // 2):
            analysis.append(x_re)
            kernel.append(w_re)
            synthesis.append(y_re / window)
            continue
        # (x_re + i x_im)(w_re + i w_im): a = w_re (x_re + x_im), b = (w_im - w_re) x_re, c = (w_re + w_im) x_im;
        # the real part is a - c, the imaginary part a + b. Frequencies above the middle mirror those below: factor 2.
        analysis += [x_re + x_im, x_re, x_im]
        kernel += [w_re, w_im - w_re, w_re + w_im]
        synthesis += [2 / window * part for part in (y_re + y_im, y_im, -y_re)]
    return torch.stack(analysis), torch.stack(kernel), torch.stack(synthesis, dim=1)


class TransformedConv(nn.Module):
    """A convolution of weight [O, I, k], dilated by `dilation`, on rows, by short transforms. For inference.

    The caller pads: `rows_needed(n)` rows go in (the first `n + (k - 1) * dilation` count), n rows come out.
    """

    analysis: Tensor
    kernels: Tensor
    synthesis: Tensor
    bias: Tensor

    def __init__(self, weight: Tensor, bias: Tensor | None, dilation: int = 1) -> None:
        super().__init__()
        analysis, kernel, synthesis = transform_matrices(weight.shape[2])
        kernels = torch.einsum("mk,oik->mio", kernel, weight.double())
        self.register_buffer("analysis", analysis.float())
        self.register_buffer("kernels", kernels.float().contiguous())
        self.register_buffer("synthesis", synthesis.float())
        self.register_buffer("bias", weight.new_zeros(weight.shape[0]) if bias is None else bias.float())
        self.dilation, self.gain_rows = dilation, synthesis.shape[0]

    def _windows(self, n_rows: int) -> int:
        return -(-n_rows // (self.gain_rows * self.dilation))

    def rows_needed(self, n_rows: int) -> int:
        """How many input rows whole windows take for `n_rows` of output."""
        return (self._windows(n_rows) * self.gain_rows + WINDOW - self.gain_rows) * self.dilation

    def forward(self, padded: Tensor, n_rows: int) -> Tensor:
        """`padded` [rows_needed(n_rows), I], contiguous; returns [n_rows, O], contiguous.

        A dilated convolution is `dilation` plain ones on every dilation-th row.
        """
        n_windows, gain, step = self._windows(n_rows), self.gain_rows, self.dilation
        channels = padded.shape[1]
        phases = [
            self._phase(
                padded.as_strided(
                    (n_windows, WINDOW, channels),
                    (gain * step * channels, step * channels, 1),
                    padded.storage_offset() + phase * channels,
                )
            )
            for phase in range(step)
        ]
        rows = phases[0] if step == 1 else torch.stack(phases, dim=2)
        return rows.view(n_windows * gain * step, -1)[:n_rows]

    def _phase(self, windows: Tensor) -> Tensor:
        """Windows [B, 32, I] to outputs [B, 32 - k + 1, O]."""
        n_windows = windows.shape[0]
        spectra = torch.bmm(self.analysis.expand(n_windows, -1, -1), windows)
        products = torch.bmm(spectra.transpose(0, 1), self.kernels)
        synthesis = self.synthesis.expand(n_windows, -1, -1)
        bias = self.bias.expand(n_windows, self.gain_rows, -1)
        return torch.baddbmm(bias, synthesis, products.transpose(0, 1))
