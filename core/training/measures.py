"""What can be measured of a rendered voice beside the recording it should match. For every engine.

Always: level and pitch. Where the packages and models are on this machine: likeness to the speaker (an imported speaker
network, else Resemblyzer), word or character errors (whichever recogniser is imported), DNSMOS (speechmos). What is
missing is left out, never guessed; a measure that fails is left out from then on and said once in the log.
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
from core.features import speaker
from core.quality.text_match import character_error_rate, language_of
from core.settings import Settings
from core.subtitles.distance import edit_distance
from core.transcribe import models
from core.transcribe.options import ENGINES, TranscribeOptions

if TYPE_CHECKING:
    from core.dataset.voices import Voice
    from core.transcribe.recogniser import Recogniser

log = logging.getLogger(__name__)

Audio = NDArray[np.float32]
HOP = 512
N_TARGETS = 12
"""Recordings of the target speaker whose mean is the voice to be like."""
LOWEST_DB = -120.0
UNSPACED = ("zh", "ja", "th")
"""Languages written without spaces: their errors are counted in characters."""
_PACKAGES = {"whisper": "faster_whisper", "parakeet": "onnx_asr"}


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
        """What this machine can measure; "errors" become the figure "wer" or "cer"."""
        names = ["level_db", "pitch_error_cents"]
        names += ["speaker_similarity"] if self._targets and (self._network or find_spec("resemblyzer")) else []
        names += ["errors"] if self._recogniser_kind else []
        names += ["dnsmos"] if find_spec("speechmos") else []
        return names

    @cached_property
    def _network(self) -> Path | None:
        return None if self._settings is None else speaker.find(self._settings)

    @cached_property
    def _recogniser_kind(self) -> str | None:
        """The kind of recogniser whose package and weights are here."""
        if self._settings is None:
            return None
        ready = (kind for kind in ENGINES if find_spec(_PACKAGES[kind]) and models.here(self._settings, kind))
        return next(ready, None)

    def __call__(self, render: Audio, recording: Audio | None, rate_hz: int, text: str = "") -> dict[str, float]:
        """Figures of one render beside its recording, both [N] at `rate_hz`. Without a recording, of a text that was
        spoken: what needs none.

        Returns:
            level_db: RMS of the render less that of the recording, dB. pitch_error_cents: median distance of pitch
            where both are voiced. speaker_similarity: cosine to the speaker's mean embedding, -1..1. wer: word errors
            a word against `text`, or against what the recording is heard as; cer instead, errors a character, in
            languages written without spaces. dnsmos: overall, 1..5.
        """
        ways: dict[str, Callable[[], tuple[str, float | None]]] = {
            "speaker_similarity": lambda: ("speaker_similarity", self._similarity(resample(render, rate_hz, 16000))),
            "errors": lambda: self._errors(render, recording, rate_hz, text),
            "dnsmos": lambda: ("dnsmos", _dnsmos(resample(render, rate_hz, 16000))),
        }
        if recording is not None:
            level_db = max(rms_db(render), LOWEST_DB) - max(rms_db(recording), LOWEST_DB)
            ways["level_db"] = lambda: ("level_db", level_db)
            ways["pitch_error_cents"] = lambda: ("pitch_error_cents", self._pitch_error(render, recording, rate_hz))
        found: dict[str, float] = {}
        for name in self.available():
            if name in self._failed or name not in ways:
                continue
            try:
                figure, value = ways[name]()
            # The boundary to optional packages: whatever they raise must not end a training of hours.
            except Exception as err:  # noqa: BLE001
                self._failed.add(name)
                log.warning("%s of %s cannot be measured here: %s", name, self._name, err)
                continue
            if value is not None and np.isfinite(value):
                found[figure] = float(value)
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
    def _embed(self) -> Callable[[Audio], Audio]:
        """A clip [N] at 16 kHz -> a vector of length 1."""
        if self._settings is not None and self._network:
            network = speaker.create(self._settings)
            assert network is not None
            return network.embed
        from resemblyzer import VoiceEncoder

        encoder = VoiceEncoder("cpu", verbose=False)
        return lambda audio_16k: _unit(np.asarray(encoder.embed_utterance(audio_16k), dtype=np.float32))

    @cached_property
    def _target(self) -> Audio:
        from core.audio.decode import load

        return _unit(np.mean([self._embed(load(path, 16000)) for path in self._targets], axis=0))

    def _similarity(self, audio_16k: Audio) -> float:
        return float(self._embed(audio_16k) @ self._target)

    @cached_property
    def _recogniser(self) -> "Recogniser":
        from core.transcribe.recogniser import open_recogniser

        assert self._settings is not None
        # On the CPU: what it would take of a GPU's memory is the training's, which may need it at the next step.
        options = {"audio": "", "out": "", "engine": self._recogniser_kind, "beam_size": 1}
        return open_recogniser(
            self._settings.model_copy(update={"device": "cpu"}), TranscribeOptions.model_validate(options)
        )

    def _errors(self, render: Audio, recording: Audio | None, rate_hz: int, text: str) -> tuple[str, float | None]:
        wanted = text.strip() or ("" if recording is None else self._hear(recording, rate_hz))
        figure = "cer" if language_of(wanted) in UNSPACED else "wer"
        if not words(wanted):
            return figure, None
        heard = self._hear(render, rate_hz)
        if figure == "cer":
            return figure, character_error_rate(wanted, heard)
        return figure, word_error_rate(words(wanted), words(heard))

    def _hear(self, audio: Audio, rate_hz: int) -> str:
        found = self._recogniser.words(resample(audio, rate_hz, 16000), lambda: None)
        return "".join(f" {word.text.strip()}" for word in found)


def words(text: str) -> list[str]:
    """Words in lower case without punctuation."""
    return "".join(char if char.isalnum() or char == "'" else " " for char in text.lower()).split()


def word_error_rate(wanted: Sequence[str], heard: Sequence[str]) -> float:
    """Fewest insertions, deletions and substitutions of words by the number of wanted ones (at least 1)."""
    letters = {word: chr(place) for place, word in enumerate({*wanted, *heard})}  # a word becomes one letter
    left, right = ("".join(letters[word] for word in side) for side in (wanted, heard))
    return edit_distance(left, right) / max(1, len(wanted))


def _dnsmos(audio_16k: Audio) -> float:
    from speechmos import dnsmos

    return float(dnsmos.run(np.clip(audio_16k, -1.0, 1.0), 16000)["ovrl_mos"])


def _unit(vector: Audio) -> Audio:
    return np.asarray(vector / max(float(np.linalg.norm(vector)), 1e-9), dtype=np.float32)
