"""Silero's speech probabilities for many windows at once, each as if it were a recording of its own.

Cutting asks the detector once per cue, with a fresh state, and the frames of a window begin where the window begins.
The package's model takes one stream at a time and spends nine tenths of its time in small convolutions; here the same
network (weights out of its `silero_vad_16k_sequence.onnx`) runs as matrix products over all frames of all windows, and
its recurrence over all windows side by side. A test holds the two together.

Network, per frame of 512 samples at 16 kHz with the 64 before it (zeros at the start of a window), mirrored by 64 at
its end: magnitudes of 4 short-time spectra (256 samples, hop 128) -> 3-tap convolutions 129-128-64-64-128 (strides 1,
2, 2, 1, ReLU) -> LSTM 128 -> ReLU -> one logit.
"""

import contextlib
import importlib.util
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.cutting.onnx_tensors import float_tensors
from core.errors import Unavailable

RATE_HZ = 16000
FRAME_SAMPLES = 512
FRAME_S = FRAME_SAMPLES / RATE_HZ
_CONTEXT = 64
_FFT = 256
_HOP = 128
_BINS = 129
_HIDDEN = 128
_BLOCK_FRAMES = 256  # frames whose intermediate results stay in the cache of one core
_MODEL = "silero_vad_16k_sequence.onnx"
# One frame of four steps becomes two, one, one: the outer taps of the last two kernels meet padding only.
_TAPS = (slice(0, 3), slice(0, 3), slice(1, 3), slice(1, 2))
_log = logging.getLogger(__name__)

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class _Network:
    """Weights as right-hand factors, [in, out]."""

    spectrum: Floats
    kernels: list[Floats]
    biases: list[Floats]
    gates_in: Floats
    gates_hidden: Floats
    gates_bias: Floats
    out: Floats
    out_bias: float


@lru_cache(maxsize=1)
def _network() -> _Network | None:
    """The weights of the installed model; None if it is built in another way than this module knows."""
    spec = importlib.util.find_spec("silero_vad")
    folders = list(spec.submodule_search_locations or []) if spec else []
    path = next((p for f in folders if (p := Path(f) / "data" / _MODEL).is_file()), None)
    if path is None:
        raise Unavailable("The speech detector's model is not installed.", "Install silero-vad 6.2.3 or newer.")
    try:
        tensors = float_tensors(path)
        kernels = [_taps(tensors[f"encoder.{n}.weight"], taps) for n, taps in enumerate(_TAPS)]
        lstm = [value for name, value in tensors.items() if "LSTM" in name]
        gates_in, gates_hidden = (value[0] for value in lstm if value.shape == (1, 4 * _HIDDEN, _HIDDEN))
        (both_biases,) = (value[0] for value in lstm if value.shape == (1, 8 * _HIDDEN))
        # ONNX orders the gates input, output, forget, cell.
        return _Network(
            spectrum=np.ascontiguousarray(tensors["stft.forward_basis_buffer"].reshape(2 * _BINS, _FFT).T),
            kernels=kernels,
            biases=[tensors[f"encoder.{n}.bias"] for n in range(len(_TAPS))],
            gates_in=np.ascontiguousarray(gates_in.T),
            gates_hidden=np.ascontiguousarray(gates_hidden.T),
            gates_bias=both_biases[: 4 * _HIDDEN] + both_biases[4 * _HIDDEN :],
            out=tensors["output.weight"].reshape(_HIDDEN),
            out_bias=float(tensors["output.bias"][0]),
        )
    except (KeyError, ValueError) as err:
        _log.warning("the speech detector's model is not the one known here, so cutting is slower: %s", err)
        return None


def _taps(kernel: Floats, taps: slice) -> Floats:
    """[out, in, 3] -> [taps * in, out]."""
    return np.ascontiguousarray(kernel[:, :, taps].transpose(2, 1, 0).reshape(-1, kernel.shape[0]))


def probabilities(windows: Sequence[Floats]) -> list[Floats]:
    """Speech probability of every 32 ms frame of each window [n] (16 kHz), [ceil(n / 512)] each.

    The last frame of a window is filled up with zeros. Raises Unavailable.
    """
    network = _network()
    if network is None:
        return [_by_package(window) for window in windows]
    framed = [_frames(window) for window in windows]
    counts = [frames.shape[0] for frames in framed]
    if not sum(counts):
        return [np.zeros(0, np.float32) for _ in windows]
    flat = np.concatenate(framed)
    gates = np.empty((flat.shape[0], 4 * _HIDDEN), np.float32)
    for start in range(0, flat.shape[0], _BLOCK_FRAMES):
        part = slice(start, start + _BLOCK_FRAMES)
        gates[part] = _encode(network, flat[part])
    return _recur(network, gates, counts)


@contextlib.contextmanager
def one_thread_each() -> Iterator[None]:
    """Keep the matrix products of callers that are threads themselves from starting threads: ten times slower here."""
    import threadpoolctl

    with threadpoolctl.threadpool_limits(1, user_api="blas"):
        yield


def _by_package(window: Floats) -> Floats:
    from core.audio.vad import SpeechDetector

    detector = SpeechDetector()
    detector.push(window)
    return detector.finish()


def _frames(window: Floats) -> Floats:
    """[n_frames, 64 + 512 + 64]: context, frame, mirrored end."""
    n_frames = -(-window.size // FRAME_SAMPLES)
    padded = np.zeros(_CONTEXT + n_frames * FRAME_SAMPLES, np.float32)
    padded[_CONTEXT : _CONTEXT + window.size] = window
    frames = np.empty((n_frames, 2 * _CONTEXT + FRAME_SAMPLES), np.float32)
    if n_frames:
        width = _CONTEXT + FRAME_SAMPLES
        frames[:, :width] = np.lib.stride_tricks.sliding_window_view(padded, width)[::FRAME_SAMPLES]
        frames[:, width:] = frames[:, width - 2 : width - 2 - _CONTEXT : -1]
    return frames


def _encode(network: _Network, frames: Floats) -> Floats:
    """[n, 640] -> what the frames give to the gates of the recurrence, [n, 512]."""
    n = frames.shape[0]
    pieces = np.lib.stride_tricks.sliding_window_view(frames, _FFT, axis=1)[:, ::_HOP]
    spectra = np.ascontiguousarray(pieces).reshape(-1, _FFT) @ network.spectrum
    np.square(spectra, out=spectra)
    power = spectra[:, :_BINS] + spectra[:, _BINS:]
    x = np.sqrt(power, out=power).reshape(n, 4, _BINS)
    kernels, biases = network.kernels, network.biases
    x = _layer(_three(x, 1), kernels[0], biases[0])
    x = _layer(_three(x.reshape(n, 4, -1), 2), kernels[1], biases[1])
    x = _layer(x.reshape(n, -1), kernels[2], biases[2])
    x = _layer(x, kernels[3], biases[3])
    x = x @ network.gates_in
    x += network.gates_bias
    return x


def _three(x: Floats, stride: int) -> Floats:
    """[n, t, c] -> [n * t / stride, 3 * c]: each step with its neighbours, zeros beyond the ends."""
    n, steps, channels = x.shape
    padded = np.zeros((n, steps + 2, channels), np.float32)
    padded[:, 1:-1] = x
    columns = np.empty((n, steps // stride, 3, channels), np.float32)
    for tap in range(3):
        columns[:, :, tap] = padded[:, tap : tap + steps : stride]
    return columns.reshape(-1, 3 * channels)


def _layer(columns: Floats, kernel: Floats, bias: Floats) -> Floats:
    out: Floats = columns @ kernel
    out += bias
    return np.maximum(out, 0.0, out=out)


def _recur(network: _Network, gates: Floats, counts: list[int]) -> list[Floats]:
    """The LSTM and the output over windows side by side; `gates` [sum(counts), 512] holds them one after another."""
    order = sorted(range(len(counts)), key=lambda i: -counts[i])  # the longest first: finished ones drop off the end
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])[order]
    lengths = np.asarray(counts)[order]
    hidden = np.zeros((len(order), _HIDDEN), np.float32)
    cell = np.zeros_like(hidden)
    logits = np.zeros((len(order), int(lengths[0])), np.float32)
    for step in range(int(lengths[0])):
        n = int(np.searchsorted(-lengths, -step, side="left"))
        z = hidden[:n] @ network.gates_hidden
        z += gates[starts[:n] + step]
        keep = _sigmoid(z[:, : 3 * _HIDDEN])
        new = np.tanh(z[:, 3 * _HIDDEN :])
        new *= keep[:, :_HIDDEN]
        cell[:n] *= keep[:, 2 * _HIDDEN :]
        cell[:n] += new
        np.multiply(np.tanh(cell[:n]), keep[:, _HIDDEN : 2 * _HIDDEN], out=hidden[:n])
        logits[:n, step] = np.maximum(hidden[:n], 0.0) @ network.out
    values = _sigmoid(logits + np.float32(network.out_bias))
    found: list[Floats] = [np.zeros(0, np.float32)] * len(order)
    for row, index in enumerate(order):
        found[index] = values[row, : counts[index]].copy()
    return found


def _sigmoid(x: Floats) -> Floats:
    # By tanh: exp would overflow for large negative logits.
    half: Floats = np.tanh(x * np.float32(0.5))
    half += 1.0
    half *= 0.5
    return half
