"""The speech engine that is always here: espeak-ng, robotic, offline, sentence by sentence.

It goes on from what it said before, so a seed does not bring the same samples back. It satisfies the same interface as
the large engines, so that every way through the service works without a download.
"""

from collections.abc import Generator, Iterator
from typing import Literal

import numpy as np
from pydantic import Field, field_validator

from core.errors import BadInput
from core.service.languages import code_of, espeak_voice
from core.speech import sentences
from core.speech.chunk import Chunk
from core.speech.engine import Capabilities, Engine, Session, Text
from core.speech.options import SpeechOptions
from core.speech.prompt import ReferenceClip

_RATE_HZ = 22050
_CHUNK_S = 0.2


class BuiltinOptions(SpeechOptions):
    """Settings of one request."""

    language: str = Field(default="auto", description="of the text; auto looks at each sentence")
    speaker: Literal["woman", "man"] = Field(default="woman", description="which of the two voices")
    speed: float = Field(default=1.0, ge=0.25, le=4.0, description="1 is 160 words a minute")

    @field_validator("language")
    @classmethod
    def _known(cls, value: str) -> str:
        code_of(value)
        return value


class BuiltinEngine(Engine[BuiltinOptions, None]):
    """Needs no model."""

    name = "builtin"
    options = BuiltinOptions

    @property
    def capabilities(self) -> Capabilities:
        """What it can do."""
        return Capabilities("espeak-ng", _RATE_HZ, _RATE_HZ, ("random",), ("en", "zh", "ja", "ko", "yue"), 100_000)

    @property
    def memory_bytes(self) -> int:
        """Next to nothing."""
        return 0

    def prompt(self, clip: ReferenceClip | None, reference: ReferenceClip | None = None, cache: object = None) -> None:
        """It cannot imitate. Raises BadInput."""
        raise BadInput(
            "The built-in speech engine cannot imitate a voice.",
            "Bring a VoxCPM model to this machine (the Models page says how), or train a character and use "
            "/api/v1/inference.",
            where="prompt_audio",
        )

    def session(self, options: BuiltinOptions, prompt: None = None) -> "BuiltinSession":
        """A new request."""
        return BuiltinSession(options.seeded())

    def unload(self) -> None:
        """Nothing to free."""


class BuiltinSession(Session):
    """One request."""

    def __init__(self, options: BuiltinOptions) -> None:
        super().__init__()
        self.seed, self.warnings, self._options = options.seed or 0, [], options

    @property
    def sample_rate_hz(self) -> int:
        """Of its chunks."""
        return _RATE_HZ

    def stream(self, text: Text, *, live: bool = True) -> Generator[Chunk, None, None]:
        """Chunks of a fifth of a second, each sentence's as soon as it is spoken."""
        options, rate_hz, index, number, said = self._options, self.sample_rate_hz, 0, -1, ""
        for number, (sentence, _last) in enumerate(self._sentences(text)):
            said = sentence.text
            self.check()
            pause_ms = options.paragraph_pause_ms if sentence.paragraph else options.pause_ms
            audio = np.concatenate([self._say(said), np.zeros(round(pause_ms * rate_hz / 1000), np.float32)])
            step = round(_CHUNK_S * rate_hz)
            for start in range(0, audio.size, step):
                self.check()
                yield Chunk(audio[start : start + step], rate_hz, index, number, said)
                index += 1
        yield Chunk(np.zeros(0, np.float32), rate_hz, index, max(0, number), said, True)

    def _sentences(self, text: Text) -> Iterator[tuple[sentences.Sentence, bool]]:
        if isinstance(text, str):
            sentences.split(text)  # refuses what cannot be said
            return sentences.stream([text], self._options.max_weight)
        return sentences.stream(text, self._options.max_weight)

    def _say(self, text: str) -> "np.ndarray[tuple[int], np.dtype[np.float32]]":
        from core.audio.resample import resample
        from core.audio.synthetic import Speaker, speak

        high = self._options.speaker == "woman"
        words_per_minute = round(min(450.0, max(80.0, 160 * self._options.speed)))
        voice = Speaker(
            espeak_voice(self._options.language, text), "f3" if high else "m3", words_per_minute, 62 if high else 30, 55
        )
        audio, rate_hz = speak(text, voice)
        return resample(audio, rate_hz, _RATE_HZ)
