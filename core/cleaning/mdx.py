"""An MDX-Net: from the spectra of a few seconds of stereo to those of one part of them.

The network (Kim, Choi, Chung, Lee and Jung, "KUIELab-MDX-Net: A two-stream neural network for music demixing", 2021)
takes windows of `n_fft` samples, 1024 apart at 44.1 kHz, of which only the lowest `dim_f` bins, as four planes: real
and imaginary part of left and right. It was trained with the three lowest bins empty. Longer sound goes through in
pieces that overlap by a quarter under Hann windows.

Notation: C samples a piece, T = dim_t frames, F = dim_f bins.
"""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.cleaning.blocks import Block
from core.cleaning.mdx_models import MdxModel
from core.errors import ModelFileError

RATE_HZ = 44100
_HOP = 1024
_EMPTY_BINS = 3
_STEP = 0.75  # of a piece
_POLL_S = 0.2


class MdxNet:
    """One model, ready to run. Raises ModelFileError for a file that is no such network.

    `check` is asked several times a second while the network computes; what it raises ends the run and comes out.
    """

    def __init__(self, model: MdxModel, check: Callable[[], None], *, gpu: bool = False) -> None:
        self._params, self._check = model.params, check
        self._session = _open(model, gpu)
        shape = self._session.get_inputs()[0].shape
        fits = len(shape) == 4 and shape[1] == 4 and all(isinstance(n, int) for n in shape[2:])
        if not fits or shape[2] > model.params.n_fft // 2 + 1 or (shape[3] - 1) * _HOP <= model.params.n_fft:
            raise ModelFileError(
                f"{model.path.name} takes {shape}, not the [batch, 4, bins, frames] of an MDX-Net with windows of "
                f"{model.params.n_fft}.",
                "Choose another model, or correct the figures beside it.",
                where=str(model.path),
            )
        self.n_bins, self.n_frames = int(shape[2]), int(shape[3])
        n = model.params.n_fft
        self._window = (0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(n) / n)).astype(np.float32)

    @property
    def piece_samples(self) -> int:
        """C."""
        return _HOP * (self.n_frames - 1)

    def answer(self, piece: Block) -> Block:
        """The part that the network knows, [C, 2], of a piece [C, 2]; neither scaled nor windowed. Raises Cancelled."""
        return self._sound(self._run(self._spectra(piece)))

    def _spectra(self, piece: Block) -> NDArray[np.float32]:
        """[1, 4, F, T]."""
        n = self._params.n_fft
        padded = np.pad(piece.T, ((0, 0), (n // 2, n // 2)), "reflect")
        frames = np.lib.stride_tricks.sliding_window_view(padded, n, axis=1)[:, ::_HOP]
        bins = np.fft.rfft(frames * self._window, axis=2)[..., : self.n_bins]
        planes = np.stack([bins.real, bins.imag], axis=1).astype(np.float32)
        planes[..., :_EMPTY_BINS] = 0.0
        return planes.transpose(0, 1, 3, 2).reshape(1, 4, self.n_bins, self.n_frames)

    def _sound(self, planes: NDArray[np.float32]) -> Block:
        """[C, 2] of [1, 4, F, T]: windows laid over one another, divided by the sum of their squares."""
        n = self._params.n_fft
        pairs = planes.reshape(2, 2, self.n_bins, self.n_frames).transpose(0, 1, 3, 2)
        bins = np.zeros((2, self.n_frames, n // 2 + 1), np.complex64)
        bins[..., : self.n_bins] = pairs[:, 0] + 1j * pairs[:, 1]
        frames = np.fft.irfft(bins, n, axis=2).astype(np.float32) * self._window
        out = np.zeros((2, (self.n_frames - 1) * _HOP + n), np.float32)
        norm = np.zeros(out.shape[1], np.float32)
        for at in range(self.n_frames):
            place = slice(at * _HOP, at * _HOP + n)
            out[:, place] += frames[:, at]
            norm[place] += self._window**2
        inner = slice(n // 2, n // 2 + self.piece_samples)
        return np.ascontiguousarray((out[:, inner] / np.maximum(norm[inner], 1e-8)).T)

    def _run(self, planes: NDArray[np.float32]) -> NDArray[np.float32]:
        import onnxruntime

        options = onnxruntime.RunOptions()
        name = self._session.get_inputs()[0].name
        with ThreadPoolExecutor(1) as pool:
            future = pool.submit(self._session.run, None, {name: planes}, options)
            while True:
                try:
                    found = np.asarray(future.result(timeout=_POLL_S)[0], np.float32)
                    break
                except NotYet:
                    try:
                        self._check()
                    except BaseException:  # whatever it is: the run must not outlive it
                        options.terminate = True  # the run ends after the operation it is in
                        raise
        if found.shape != planes.shape:
            raise ModelFileError(
                f"The separation model gives {found.shape} for {planes.shape}.", "Choose another one.", where="separate"
            )
        return found


def _open(model: MdxModel, gpu: bool) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    gpu = gpu and "CUDAExecutionProvider" in onnxruntime.get_available_providers()
    providers = ["CUDAExecutionProvider"] * gpu + ["CPUExecutionProvider"]
    try:
        return onnxruntime.InferenceSession(str(model.path), options, providers=providers)
    # onnxruntime raises its own kinds for a damaged file; none may reach a user as it is.
    except Exception as err:
        raise ModelFileError(
            f"{model.path.name} cannot be read as ONNX.", "Copy the file again.", where=str(model.path)
        ) from err


def parted(net: MdxNet, model: MdxModel, blocks: Iterable[Block]) -> Iterator[tuple[Block, Block]]:
    """(vocals, accompaniment), each [n, 2], of stereo blocks [n, 2] at 44.1 kHz; together they are the very sound.

    Memory does not grow with the length: a few pieces are held. Raises Cancelled.
    """
    size = net.piece_samples
    step = int(_STEP * size)
    lead = model.params.n_fft // 2  # before the sound, so that its first sample does not lie where the window is 0
    window = np.hanning(size).astype(np.float32)[:, None]
    total, weight = np.zeros((size, 2), np.float32), np.zeros((size, 1), np.float32)
    skip = lead
    for piece, n_done in _pieces(blocks, size, step, lead):
        total += net.answer(piece) * window
        weight += window
        done = slice(skip, n_done)
        scale = np.float32(model.params.compensation) / np.maximum(weight[done], np.float32(1e-8))
        part = np.asarray(total[done] * scale, np.float32)
        rest = piece[done] - part
        yield (part, rest) if model.params.stem == "vocals" else (rest, part)
        total, weight = (np.pad(array[step:], ((0, step), (0, 0))) for array in (total, weight))
        skip = 0


def _pieces(blocks: Iterable[Block], size: int, step: int, lead: int) -> Iterator[tuple[Block, int]]:
    """(`size` samples, how many of the first of them no later piece reaches), `step` apart, after `lead` zeros."""
    held = np.zeros((lead, 2), np.float32)
    for block in blocks:
        held = np.concatenate([held, block])
        while held.shape[0] >= size:
            yield held[:size], step
            held = held[step:]
    while held.shape[0]:
        yield np.pad(held, ((0, size - held.shape[0]), (0, 0))), min(step, held.shape[0])
        held = held[step:]
