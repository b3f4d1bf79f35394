"""What can be measured of a rendered voice beside the recording it should match. For every engine.

Always: level and pitch. Where the packages and models are on this machine: speaker similarity (Resemblyzer), word
errors (faster-whisper with a model folder under `pretrain`), DNSMOS (speechmos). What is missing is left out, never
guessed; a measure that fails is left out from then on and said once in the log.
"""

import logging
from collections.abc import Callable, Sequence
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from core.audio.loudness import rms_db
from core.audio.resample import resample
from core.settings import Settings

if TYPE_CHECKING:
    from core.dataset.voices import Voice

log = logging.getLogger(__name__)

Audio = NDArray[np.float32]
HOP = 512
N_TARGETS = 12
"""Recordings of the target speaker whose mean is the voice to be like."""
LOWEST_DB = -120.0


class Measures:
    """Figures of renders of one voice. Models are loaded with the first clip that needs them."""

    def __init__(
        self, voice: "Voice | None", recordings: Sequence[Path], pitch: str, device: str, settings: Settings | None
    ) -> None:
        """
        Args:
            voice: whose renders these are; for messages.
            recordings: the speaker, to be alike; a dozen spread over them are used.
            pitch: predictor's name (core.features.pitch).
            device: for predictors that are networks.
            settings: where models lie; None: none are looked for.
        """
        self._name = voice.name if voice is not None else ""
        step = max(1, len(recordings) // N_TARGETS)
        self._targets = list(recordings)[::step][:N_TARGETS]
        self._pitch_name, self._device, self._settings = pitch, device, settings
        self._failed: set[str] = set()

    def available(self) -> list[str]:
        """Names of the figures that this machine can give."""
        names = ["level_db", "pitch_error_cents"]
        names += ["speaker_similarity"] if find_spec("resemblyzer") and self._targets else []
        names += ["wer"] if find_spec("faster_whisper") and whisper_folder(self._settings) else []
        names += ["dnsmos"] if find_spec("speechmos") else []
        return names

    def __call__(self, render: Audio, recording: Audio, rate_hz: int, text: str = "") -> dict[str, float]:
        """Figures of one render beside its recording, both [N] at `rate_hz`.

        Returns:
            level_db: RMS of the render less that of the recording, dB. pitch_error_cents: median distance of pitch
            where both are voiced. speaker_similarity: cosine to the speaker's mean embedding, -1..1. wer: word errors
            a word against `text`, or against what the recording is heard as. dnsmos: overall, 1..5.
        """
        ways: dict[str, Callable[[], float | None]] = {
            "level_db": lambda: max(rms_db(render), LOWEST_DB) - max(rms_db(recording), LOWEST_DB),
            "pitch_error_cents": lambda: self._pitch_error(render, recording, rate_hz),
            "speaker_similarity": lambda: self._similarity(resample(render, rate_hz, 16000)),
            "wer": lambda: self._word_errors(render, recording, rate_hz, text),
            "dnsmos": lambda: _dnsmos(resample(render, rate_hz, 16000)),
        }
        found: dict[str, float] = {}
        for name in self.available():
            if name in self._failed:
                continue
            try:
                value = ways[name]()
            # The boundary to optional packages: whatever they raise must not end a training of hours.
            except Exception as err:  # noqa: BLE001
                self._failed.add(name)
                log.warning("%s of %s cannot be measured here: %s", name, self._name, err)
                continue
            if value is not None and np.isfinite(value):
                found[name] = float(value)
        return found

    @cached_property
    def _pitch(self) -> Any:
        from core.features import pitch

        return pitch.create(self._pitch_name, self._device)

    def _pitch_error(self, render: Audio, recording: Audio, rate_hz: int) -> float | None:
        n_frames = min(len(render), len(recording)) // HOP
        tracks = [self._pitch.predict(x[: n_frames * HOP], rate_hz, HOP, n_frames) for x in (render, recording)]
        voiced = (tracks[0] > 0) & (tracks[1] > 0)
        if voiced.sum() < 3:
            return None
        return float(np.median(np.abs(1200.0 * np.log2(tracks[0][voiced] / tracks[1][voiced]))))

    @cached_property
    def _speaker(self) -> Any:
        from resemblyzer import VoiceEncoder

        return VoiceEncoder("cpu", verbose=False)

    @cached_property
    def _target(self) -> Audio:
        from core.audio.decode import load

        return _unit(np.mean([self._embed(load(path, 16000)) for path in self._targets], axis=0))

    def _embed(self, audio_16k: Audio) -> Audio:
        return _unit(np.asarray(self._speaker.embed_utterance(audio_16k), dtype=np.float32))

    def _similarity(self, audio_16k: Audio) -> float:
        return float(self._embed(audio_16k) @ self._target)

    @cached_property
    def _recogniser(self) -> Any:
        from faster_whisper import WhisperModel

        kind = "cuda" if self._device.startswith("cuda") else "cpu"
        return WhisperModel(str(whisper_folder(self._settings)), device=kind, compute_type="int8", cpu_threads=1)

    def _word_errors(self, render: Audio, recording: Audio, rate_hz: int, text: str) -> float | None:
        wanted = words(text) or words(self._hear(recording, rate_hz))
        return word_error_rate(wanted, words(self._hear(render, rate_hz))) if wanted else None

    def _hear(self, audio: Audio, rate_hz: int) -> str:
        segments, _ = self._recogniser.transcribe(resample(audio, rate_hz, 16000), beam_size=1)
        return " ".join(segment.text for segment in segments)


def whisper_folder(settings: Settings | None) -> Path | None:
    """A faster-whisper model under `pretrain`; None if there is none."""
    if settings is None:
        return None
    found = sorted(settings.pretrain_dir.glob("*whisper*/model.bin"))
    return found[0].parent if found else None


def words(text: str) -> list[str]:
    """Words in lower case without punctuation; each character of Chinese or Japanese is a word."""
    result: list[str] = []
    for piece in "".join(c if c.isalnum() or c == "'" else " " for c in text.lower()).split():
        run = ""
        for char in piece:
            if "\u3040" <= char <= "\u9fff":
                result += [run, char] if run else [char]
                run = ""
            else:
                run += char
        result += [run] if run else []
    return result


def word_error_rate(wanted: Sequence[str], heard: Sequence[str]) -> float:
    """Fewest insertions, deletions and substitutions (Levenshtein) by the number of wanted words (at least 1)."""
    row = list(range(len(heard) + 1))
    for i, expected in enumerate(wanted, 1):
        above, row[0] = row[0], i
        for j, word in enumerate(heard, 1):
            above, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, above + (expected != word))
    return row[-1] / max(1, len(wanted))


def _dnsmos(audio_16k: Audio) -> float:
    from speechmos import dnsmos

    return float(dnsmos.run(np.clip(audio_16k, -1.0, 1.0), 16000)["ovrl_mos"])


def _unit(vector: Audio) -> Audio:
    return np.asarray(vector / max(float(np.linalg.norm(vector)), 1e-9), dtype=np.float32)
