"""Whisper through faster-whisper (CTranslate2): batched, word times, speech found by Silero first."""

import logging
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from core.errors import BadInput, ModelFileError, Unavailable
from core.transcribe.models import FoundModel
from core.transcribe.options import TranscribeOptions
from core.transcribe.recogniser import Recogniser
from core.transcribe.words import Word

if TYPE_CHECKING:
    from faster_whisper import WhisperModel

    from core.settings import Settings

_CPU_BATCH, _GPU_BATCH = 2, 16  # on a CPU a batch saves little, and a cancel waits for it
_log = logging.getLogger(__name__)


class Whisper(Recogniser):
    """A Whisper model of any size, from a local folder only."""

    def __init__(self, model: FoundModel, settings: "Settings", options: TranscribeOptions) -> None:
        try:
            import ctranslate2
        except ImportError as err:
            raise Unavailable("The package faster-whisper is not installed.", "Run ./launch.sh once.") from err
        if not (model.folder / "tokenizer.json").is_file():
            # faster-whisper would go to the network for it.
            hint = "Copy tokenizer.json of the same model beside model.bin."
            raise ModelFileError(f"{model.folder} has no tokenizer.json.", hint, where=str(model.folder))
        self._options, self.name, self.warnings = options, model.name, []
        n_gpus = ctranslate2.get_cuda_device_count() if settings.device != "cpu" else 0
        wanted = settings.device
        if wanted.startswith("cuda") and _index(wanted) >= n_gpus:
            raise Unavailable(
                f"The device {wanted} was asked for, but Whisper finds {n_gpus} GPUs.", "Use auto or cpu."
            )
        self.device = f"cuda:{_index(wanted)}" if n_gpus else "cpu"
        self._model = self._load(model, settings.threads)
        if self.device != "cpu":
            self._try_gpu(model, settings.threads, must=wanted != "auto")
        multilingual = bool(self._model.model.is_multilingual)
        if not multilingual and options.language not in (None, "en"):
            raise BadInput(
                f"The model {model.name} knows English only.",
                "Choose a multilingual one, without .en.",
                where="language",
            )
        if options.language and options.language not in self._model.supported_languages:
            known = ", ".join(self._model.supported_languages)
            raise BadInput(f"Whisper does not know {options.language!r}.", f"It knows: {known}.", where="language")
        self.language = options.language or (None if multilingual else "en")
        self.language_probability = 1.0 if self.language else 0.0
        if not multilingual and options.language is None:
            self.warnings.append(f"{model.name} knows English only; other languages come out wrong.")

    def _load(self, model: FoundModel, threads: int) -> "WhisperModel":
        from faster_whisper import WhisperModel

        kind, _, index = self.device.partition(":")
        try:
            return WhisperModel(
                str(model.folder), device=kind, device_index=int(index or 0), cpu_threads=threads,
                compute_type="default" if kind == "cuda" else "int8", local_files_only=True,
            )  # fmt: skip
        except (RuntimeError, ValueError, OSError) as err:
            if kind == "cuda" and "CUDA" in str(err):  # out of memory, a driver too old
                raise Unavailable(f"Whisper cannot use the GPU: {err}", "Set the device to cpu, or free it.") from err
            raise ModelFileError(
                f"The model in {model.folder} cannot be loaded: {err}",
                "Import it again: all files of a Whisper model in the CTranslate2 (faster-whisper) form.",
                where=str(model.folder),
            ) from err
        # The tokenizer's library raises nothing narrower for a damaged file.
        except Exception as err:
            hint = "Import the model again."
            raise ModelFileError(f"{model.folder}: {err}", hint, where=str(model.folder)) from err

    def _try_gpu(self, model: FoundModel, threads: int, *, must: bool) -> None:
        """CTranslate2 looks for its CUDA libraries only when it computes; better here than minutes later."""
        n_mels = self._model.model.n_mels
        try:
            self._model.encode(np.zeros((n_mels, 3000), np.float32))
        except RuntimeError as err:
            if must:
                raise Unavailable(f"Whisper cannot use the GPU: {err}", "Set the device to auto or cpu.") from err
            _log.warning("whisper falls back to the CPU: %s", err)
            self.warnings.append(f"The GPU cannot be used for Whisper ({err}); the CPU does it, slowly.")
            self.device = "cpu"
            self._model = self._load(model, threads)

    def words(self, audio: NDArray[np.float32], check: Callable[[], None]) -> Iterator[Word]:
        """See `Recogniser.words`. The language is found out on the first audio that has speech."""
        from faster_whisper import BatchedInferencePipeline

        check()
        segments, info = BatchedInferencePipeline(self._model).transcribe(
            audio,
            language=self.language,
            beam_size=self._options.beam_size,
            batch_size=self._options.batch_size or (_CPU_BATCH if self.device == "cpu" else _GPU_BATCH),
            word_timestamps=True,
            vad_filter=True,
            # 160 ms is faster-whisper's own choice for batches; naming a threshold would lose it.
            vad_parameters={"threshold": self._options.vad_threshold, "min_silence_duration_ms": 160},
            initial_prompt=self._options.hint,
            condition_on_previous_text=False,
        )
        if self.language is None and info.duration_after_vad > 0:
            self.language, self.language_probability = info.language, float(info.language_probability)
        for segment in segments:
            for word in segment.words or []:
                yield Word(word.word, float(word.start), float(word.end), float(word.probability))
            check()

    def spoken(self, audio: NDArray[np.float32]) -> tuple[str, float] | None:
        """See `Recogniser.spoken`. A model that knows English only tells nothing."""
        if not self._model.model.is_multilingual:
            return None
        language, probability, _ = self._model.detect_language(audio)
        return language, float(probability)


def _index(device: str) -> int:
    return int(device.partition(":")[2] or 0)
