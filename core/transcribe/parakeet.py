"""Parakeet TDT through onnx-asr (optional package): fast on a CPU, punctuated, word times from its tokens."""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from core.audio.vad import RATE_HZ, Span, VadParams, speech_spans
from core.errors import ModelFileError, Unavailable
from core.transcribe.chunks import quietest
from core.transcribe.models import FoundModel
from core.transcribe.options import TranscribeOptions
from core.transcribe.recogniser import Recogniser
from core.transcribe.words import Word

if TYPE_CHECKING:
    from core.settings import Settings

_PIECE_S = 24.0  # memory and time of its attention grow with the square
_JOIN_S = 0.5
_LAST_TOKEN_S = 0.2  # a token has a start only; this long one lasts where none follows


class Parakeet(Recogniser):
    """NVIDIA's Parakeet TDT in ONNX form, from a local folder only."""

    def __init__(self, model: FoundModel, settings: "Settings", options: TranscribeOptions) -> None:
        try:
            import onnx_asr
        except ImportError as err:
            raise Unavailable(
                "The package onnx-asr, which runs Parakeet, is not installed.",
                "Install it into .venv (requirements-optional.txt lists it), or use Whisper.",
            ) from err
        import onnxruntime

        self._options, self.name = options, model.name
        self.language, self.language_probability = options.language, 1.0 if options.language else 0.0
        if model.english_only:
            self.language, self.language_probability = "en", 1.0
        self.warnings = []
        has_gpu = settings.device != "cpu" and "CUDAExecutionProvider" in onnxruntime.get_available_providers()
        if settings.device.startswith("cuda") and not has_gpu:
            raise Unavailable("Parakeet needs onnxruntime-gpu to use the GPU.", "Set the device to auto or cpu.")
        self.device = "cuda:0" if has_gpu else "cpu"
        session = onnxruntime.SessionOptions()
        session.intra_op_num_threads = settings.threads
        # The full weights where they are, else the small ones.
        whole = (model.folder / "encoder-model.onnx").is_file()
        try:
            self._model = onnx_asr.load_model(
                "nemo-conformer-tdt",
                model.folder,
                quantization=None if whole else "int8",
                sess_options=session,
                providers=["CUDAExecutionProvider"] * has_gpu + ["CPUExecutionProvider"],
            ).with_timestamps()
        # onnxruntime has a class of errors of its own for each kind of damage, and onnx-asr adds some.
        except Exception as err:
            hint = "Import it again: the files that `app.py models` lists for it."
            message = f"The model in {model.folder} cannot be loaded: {str(err).splitlines()[0] if str(err) else err!r}"
            raise ModelFileError(message, hint, where=str(model.folder)) from err

    def words(self, audio: NDArray[np.float32], check: Callable[[], None]) -> Iterator[Word]:
        """See `Recogniser.words`."""
        threshold = self._options.vad_threshold
        spans = speech_spans(audio, VadParams(threshold=threshold, exit_threshold=max(0.01, threshold - 0.15)))
        for start, end in pieces(spans, audio):
            check()
            heard = self._model.recognize(audio[start:end])
            yield from words_of(heard.tokens or [], heard.timestamps or [], start / RATE_HZ, end / RATE_HZ)


def pieces(spans: Sequence[Span], audio: NDArray[np.float32]) -> list[tuple[int, int]]:
    """Samples (start, end) to recognise at once: neighbouring speech together, none longer than 24 s.

    Speech without a pause is cut at its quietest place.
    """
    most = round(_PIECE_S * RATE_HZ)
    found: list[tuple[int, int]] = []
    for span in spans:
        start, end = round(span.start_s * RATE_HZ), min(audio.size, round(span.end_s * RATE_HZ))
        if found and start - found[-1][1] <= _JOIN_S * RATE_HZ and end - found[-1][0] <= most:
            found[-1] = (found[-1][0], end)
            continue
        while end - start > most:
            cut = quietest(audio, start + most // 2, start + most)
            found.append((start, cut))
            start = cut
        found.append((start, end))
    return found


def words_of(tokens: Sequence[str], times_s: Sequence[float], offset_s: float, end_s: float) -> list[Word]:
    """Words of sentence-piece tokens, each with the time of its start within a piece that begins at `offset_s`.

    A token that begins with a space begins a word. A word ends where the next begins, or soon after its last token.
    """
    groups: list[tuple[str, float, float]] = []  # text, start, start of its last token
    for token, time_s in zip(tokens, times_s, strict=True):
        at_s = offset_s + time_s
        if groups and not token.startswith(" "):
            text, start_s, _ = groups[-1]
            groups[-1] = (text + token, start_s, at_s)
        else:
            groups.append((token, at_s, at_s))
    words = []
    for at, (text, start_s, last_s) in enumerate(groups):
        following_s = groups[at + 1][1] if at + 1 < len(groups) else end_s
        words.append(Word(text, start_s, max(start_s, min(last_s + _LAST_TOKEN_S, following_s))))
    return words
