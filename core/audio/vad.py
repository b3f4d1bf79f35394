"""Voice activity by Silero's model (its package carries the weights), streamed over blocks of 16 kHz mono.

The model sees 32 ms frames (512 samples) with 4 ms (64 samples) of the one before and carries an LSTM state from frame
to frame. It is run here by onnxruntime on many frames a call; `import silero_vad` is avoided, because it would load
torch for nothing.
"""

import importlib.util
import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from core.errors import BadInput, Unavailable

if TYPE_CHECKING:
    import onnxruntime

RATE_HZ = 16000
FRAME_SAMPLES = 512
FRAME_S = FRAME_SAMPLES / RATE_HZ
_CONTEXT_SAMPLES = 64
_STATE_SIZE = 128
_FRAMES_PER_CALL = 256
_MODEL = "silero_vad_16k_sequence.onnx"


@dataclass(frozen=True)
class VadParams:
    """`threshold` starts speech and `exit_threshold` ends it (probabilities); shorter speech is dropped, shorter
    pauses are bridged, and every span is widened by `pad_s` as far as the pause allows."""

    threshold: float = 0.5
    exit_threshold: float = 0.35
    min_speech_s: float = 0.25
    min_silence_s: float = 0.2
    pad_s: float = 0.1

    def __post_init__(self) -> None:
        if not 0.0 < self.exit_threshold <= self.threshold < 1.0:
            raise BadInput(
                "Speech detection needs 0 < exit_threshold <= threshold < 1.", "Use 0.35 and 0.5.", where="vad"
            )


@dataclass(frozen=True)
class Span:
    """A stretch of speech, seconds from the start."""

    start_s: float
    end_s: float


@lru_cache(maxsize=1)
def _session() -> "onnxruntime.InferenceSession":
    spec = importlib.util.find_spec("silero_vad")
    folders = list(spec.submodule_search_locations or []) if spec else []
    model = next((p for f in folders if (p := Path(f) / "data" / _MODEL).is_file()), None)
    if model is None:
        raise Unavailable(
            "The speech detector's model is not installed.",
            "Install silero-vad 6.2.3 or newer, or slice by silence instead.",
        )
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(str(model), sess_options=options, providers=["CPUExecutionProvider"])


class SpeechDetector:
    """Speech probability of every 32 ms frame of one stream. Use a new one for each recording: it holds the state."""

    def __init__(self) -> None:
        self._session = _session()
        self._hidden = np.zeros((1, 1, _STATE_SIZE), np.float32)
        self._cell = np.zeros((1, 1, _STATE_SIZE), np.float32)
        self._context = np.zeros(_CONTEXT_SAMPLES, np.float32)
        self._rest = np.zeros(0, np.float32)
        self._probabilities: list[NDArray[np.float32]] = []
        self.n_samples = 0

    def push(self, block: NDArray[np.float32]) -> None:
        """Take the next samples [n], 16 kHz."""
        self.n_samples += block.size
        joined = np.concatenate([self._rest, np.asarray(block, np.float32)])
        n_whole = joined.size // FRAME_SAMPLES * FRAME_SAMPLES
        self._run(joined[:n_whole].reshape(-1, FRAME_SAMPLES))
        self._rest = joined[n_whole:]

    def finish(self) -> NDArray[np.float32]:
        """All probabilities, [ceil(n_samples / 512)]; the last frame is filled up with zeros."""
        if self._rest.size:
            last = np.zeros((1, FRAME_SAMPLES), np.float32)
            last[0, : self._rest.size] = self._rest
            self._run(last)
            self._rest = np.zeros(0, np.float32)
        return np.concatenate(self._probabilities) if self._probabilities else np.zeros(0, np.float32)

    def _run(self, frames: NDArray[np.float32]) -> None:
        for start in range(0, frames.shape[0], _FRAMES_PER_CALL):
            part = frames[start : start + _FRAMES_PER_CALL]
            contexts = np.concatenate([self._context[None], part[:-1, -_CONTEXT_SAMPLES:]])
            self._context = part[-1, -_CONTEXT_SAMPLES:].copy()
            values, self._hidden, self._cell = self._session.run(
                ["speech_probs", "hn", "cn"],
                {"input": np.concatenate([contexts, part], axis=1), "h": self._hidden, "c": self._cell},
            )
            self._probabilities.append(np.asarray(values, np.float32).reshape(-1))


def speech_spans(
    audio: NDArray[np.float32] | Iterable[NDArray[np.float32]], params: VadParams | None = None
) -> list[Span]:
    """Spans of speech in 16 kHz mono: an array [n], or an iterable of blocks of one. Raises Unavailable, BadInput."""
    detector = SpeechDetector()
    for block in [audio] if isinstance(audio, np.ndarray) else audio:
        detector.push(block)
    return spans_from_probabilities(detector.finish(), detector.n_samples / RATE_HZ, params)


def spans_from_probabilities(
    probabilities: NDArray[np.float32], duration_s: float, params: VadParams | None = None
) -> list[Span]:
    """Spans from frame probabilities [n_frames] by hysteresis: sorted, apart, inside [0, duration_s]."""
    params = params or VadParams()
    spans: list[tuple[float, float]] = []
    for start, end in _hysteresis(probabilities, params):
        start_s, end_s = start * FRAME_S, min(end * FRAME_S, duration_s)
        if spans and start_s - spans[-1][1] < params.min_silence_s:
            spans[-1] = (spans[-1][0], end_s)
        else:
            spans.append((start_s, end_s))
    spans = [(a, b) for a, b in spans if b - a >= min(params.min_speech_s, duration_s)]
    padded: list[Span] = []
    for index, (start_s, end_s) in enumerate(spans):
        before = spans[index - 1][1] if index else -math.inf
        after = spans[index + 1][0] if index + 1 < len(spans) else math.inf
        low = max(0.0, start_s - min(params.pad_s, (start_s - before) / 2))
        high = min(duration_s, end_s + min(params.pad_s, (after - end_s) / 2))
        padded.append(Span(low, high))
    return padded


def _hysteresis(probabilities: NDArray[np.float32], params: VadParams) -> list[tuple[int, int]]:
    """Frames [start, end) from where the probability reaches `threshold` until it falls below `exit_threshold`."""
    high = probabilities >= params.threshold
    runs = np.flatnonzero(np.diff(np.concatenate([[0], (probabilities >= params.exit_threshold).view(np.int8), [0]])))
    return [
        (int(start + np.argmax(high[start:end])), int(end))
        for start, end in zip(runs[::2], runs[1::2], strict=True)
        if high[start:end].any()
    ]
