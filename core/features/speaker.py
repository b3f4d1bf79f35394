"""Who is speaking: a vector for the voice in a clip, by a speaker network in ONNX form that a person has imported.

CAM++ (Wang, Zheng, Chen, Cheng and Chen, "CAM++: A fast and efficient network for speaker verification using
context-aware masking", Interspeech 2023), which comes with every CosyVoice2, is one; any other that takes Kaldi's
filter banks `[1, T, 80]` of 16 kHz sound, mean taken off, and gives one vector serves as well.

Notation: N samples at 16 kHz, T frames of 10 ms, D numbers of the embedding.
"""

import hashlib
from abc import ABC, abstractmethod
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.errors import ModelFileError
from core.settings import Settings

RATE_HZ = 16000
FOLDER = "speaker"
"""Below `Settings.pretrain_dir`: where a speaker network is imported to."""

_FRAME, _HOP, _FFT, _N_BANDS = 400, 160, 512, 80
_LOW_HZ, _PRE_EMPHASIS = 20.0, 0.97
_LEAST_SAMPLES = RATE_HZ // 2  # a shorter clip is repeated: networks pool over time and want some of it


class SpeakerEmbedder(ABC):
    """Attributes: `name`, which differs where vectors cannot be compared."""

    name: str

    @abstractmethod
    def embed(self, audio_16k: NDArray[np.float32]) -> NDArray[np.float32]:
        """The voice in a clip [N] as a vector [D] of length 1; the cosine of two tells how alike they sound.

        Raises ModelFileError (the network gives no numbers).
        """


def find(settings: Settings) -> Path | None:
    """The network to use: what lies in the speaker folder, or the one of a CosyVoice model. None if there is none."""
    own = sorted((settings.pretrain_dir / FOLDER).glob("*.onnx"))
    borrowed = sorted(settings.pretrain_dir.glob("cosyvoice/*/campplus.onnx"))
    return next((path for path in own + borrowed if path.stat().st_size), None)


def create(settings: Settings) -> SpeakerEmbedder | None:
    """The embedder of this machine, or None where no network was imported. Raises ModelFileError (damaged)."""
    path = find(settings)
    return None if path is None else open_network(path)


@lru_cache(maxsize=2)
def open_network(path: Path) -> SpeakerEmbedder:
    """The network of an ONNX file, kept loaded. Raises ModelFileError."""
    return _OnnxSpeaker(path)


def network_name(path: Path) -> str:
    """The `name` of the embedder of this file, without loading it."""
    with open(path, "rb") as file:
        return f"{path.stem}-{hashlib.file_digest(file, 'sha256').hexdigest()[:8]}"


class _OnnxSpeaker(SpeakerEmbedder):
    def __init__(self, path: Path) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # clips are measured side by side, in processes
        options.log_severity_level = 4
        try:
            self._session: Any = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        # onnxruntime raises its own kinds for a damaged file; none may reach a user as it is.
        except Exception as err:
            raise _unfit(path, "it cannot be read as ONNX") from err
        inputs = self._session.get_inputs()
        shape = inputs[0].shape
        if len(inputs) != 1 or len(shape) != 3 or (isinstance(shape[2], int) and shape[2] != _N_BANDS):
            shapes = ", ".join(f"{one.name} {one.shape}" for one in inputs)
            raise _unfit(path, f"it takes {shapes}, not filter banks [batch, frames, {_N_BANDS}]")
        self._path, self._input = path, inputs[0].name
        self.name = network_name(path)

    def embed(self, audio_16k: NDArray[np.float32]) -> NDArray[np.float32]:
        """See the base class."""
        if audio_16k.size < _LEAST_SAMPLES:
            audio_16k = np.resize(audio_16k if audio_16k.size else np.zeros(1), _LEAST_SAMPLES)
        found = self._session.run(None, {self._input: filter_bank(audio_16k)[None]})[0]
        vector = np.asarray(found, np.float32).reshape(-1)
        length = float(np.linalg.norm(vector))
        if not np.isfinite(length) or length == 0.0:
            raise _unfit(self._path, "it gives no numbers for a clip")
        return vector / np.float32(length)


def _unfit(path: Path, why: str) -> ModelFileError:
    return ModelFileError(
        f"{path.name} is no speaker network: {why}.",
        "Copy the file again, or import campplus.onnx of CosyVoice2.",
        where=str(path),
    )


def filter_bank(audio_16k: NDArray[np.float32]) -> NDArray[np.float32]:
    """Kaldi's log filter bank [T, 80] of a clip [N], its mean over time taken off.

    Frames of 25 ms every 10 ms, each without its mean, emphasised and under Povey's window; powers in triangles that
    are straight on the mel scale 1127 ln(1 + f / 700) from 20 Hz to 8 kHz (kaldi-asr.org, "Feature extraction").
    N is at least 400.
    """
    frames = np.lib.stride_tricks.sliding_window_view(np.asarray(audio_16k, np.float32), _FRAME)[::_HOP]
    frames = frames - frames.mean(axis=1, keepdims=True)
    frames = frames - _PRE_EMPHASIS * np.concatenate([frames[:, :1], frames[:, :-1]], axis=1)
    power = np.square(np.abs(np.fft.rfft(frames * _povey(), _FFT, axis=1)))
    logs = np.log(np.maximum(power @ _triangles(), np.finfo(np.float32).eps))
    return np.asarray(logs - logs.mean(axis=0, keepdims=True), np.float32)


@lru_cache(maxsize=1)
def _povey() -> NDArray[np.float32]:
    """Kaldi's own window: Hann's to the power of 0.85."""
    return np.asarray((0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(_FRAME) / (_FRAME - 1))) ** 0.85, np.float32)


@lru_cache(maxsize=1)
def _triangles() -> NDArray[np.float32]:
    """[257, 80]."""

    def mel(hz: Any) -> NDArray[np.float64]:
        return np.asarray(1127.0 * np.log1p(np.asarray(hz) / 700.0), np.float64)

    edges = np.linspace(mel(_LOW_HZ), mel(RATE_HZ / 2), _N_BANDS + 2)
    bins = mel(np.arange(_FFT // 2 + 1) * RATE_HZ / _FFT)[:, None]
    left, centre, right = edges[:-2], edges[1:-1], edges[2:]
    triangles = np.minimum((bins - left) / (centre - left), (right - bins) / (right - centre)).clip(min=0)
    triangles[-1] = 0  # Kaldi has no filter over the last bin
    return triangles.astype(np.float32)
