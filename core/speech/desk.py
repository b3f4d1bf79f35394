"""All that a person does with spoken text beside the jobs: the facade that the doors call, behind `Studio.speech`.

One for each process: the models it has loaded and the queue in front of them are shared by page and service. Light.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import BadInput, NotFound, StudioError
from core.settings import Settings
from core.speech import registry
from core.speech.options import SpeechOptions
from core.speech.request import SpeechRequest

if TYPE_CHECKING:
    from core.dataset.voices import VoiceStore
    from core.engines.cosyvoice2.stored import StoredSpeakers
    from core.service.gate import Gate
    from core.service.speech import SpeechService
    from core.speech.takes import TakeStore

_SHOWN_RATE_HZ = 24000


@dataclass(frozen=True)
class ClipVerdict:
    """What is known of a reference clip before it is used. `findings` is empty for a good one."""

    path: Path
    text: str
    seconds: float
    findings: tuple[str, ...]


@dataclass(frozen=True)
class ModelChoice:
    """A model that can speak here. `trained_for`: the voice it was fine-tuned on; empty for released ones."""

    engine: str
    name: str
    trained_for: str = ""


class SpeechDesk:
    """`voices` opens the voices of the workspace. Methods raise the StudioError family."""

    def __init__(self, settings: Settings, voices: "Callable[[], VoiceStore]") -> None:
        self._settings, self._voices = settings, voices

    @cached_property
    def service(self) -> "SpeechService":
        """The loaded models."""
        from core.service.speech import SpeechService

        return SpeechService(self._settings)

    @cached_property
    def gate(self) -> "Gate":
        """Who may speak now."""
        from core.service.gate import Gate

        bounds = self._settings
        return Gate(bounds.max_speech, bounds.max_speech_queue, bounds.max_speech_per_client)

    @cached_property
    def takes(self) -> "TakeStore":
        """What was spoken."""
        from core.speech.takes import TakeStore

        return TakeStore(self._settings.outputs / "speech")

    def models(self) -> list[ModelChoice]:
        """What can speak here beside the built-in engine, best first; models trained here after the released ones."""
        found = self._own()
        for engine in registry.ENGINES:
            found += [ModelChoice(engine, name) for name in registry.released_here(engine, self._settings)]
        for voice in self._voices().list():
            for card in sorted(voice.models.glob("*/card.json")):
                try:
                    engine = json.loads(card.read_text("utf-8")).get("engine")
                except (OSError, ValueError, AttributeError):
                    continue  # a model that cannot be read is not offered; the Models page says what is wrong with it
                if engine in registry.ENGINES:
                    found.append(ModelChoice(engine, card.parent.name, voice.name))
        return found

    def _own(self) -> list[ModelChoice]:
        """The folder that settings.speech_model names."""
        if not self._settings.speech_model:
            return []
        engine, folder = self.service.own_model()
        return [ModelChoice(engine, folder.name)]

    def examine(self, clip: Path, text: str = "") -> ClipVerdict:
        """Whether a clip is a good reference. Raises BadInput: no sound, silent, too short or long."""
        from core.speech.prompt import read_clip

        heard = read_clip(clip, _SHOWN_RATE_HZ, text)
        return ClipVerdict(clip, heard.text, heard.duration_s, heard.findings)

    def best_clip(self, voice: str) -> ClipVerdict:
        """A voice's best reference, with its words where they are known. Raises NotFound, BadInput (it has none)."""
        from core.speech.voice_prompt import best_clip

        found = self._voices().get(voice)
        try:
            path, text = best_clip(found)
        except BadInput:
            path, text = best_clip(found, with_text=False)
        return self.examine(path, text)

    def keep_reference(self, name: str, clip: Path, text: str) -> str:
        """Make a clip the reference of a voice, a new one if there is none of that name; returns the voice's name.

        Raises BadInput (the clip, the name), Conflict (the name differs from a voice's only in case).
        """
        from core.speech.voice_prompt import set_reference

        self.examine(clip, text)
        voices = self._voices()
        try:
            voice = voices.get(name)
        except NotFound:
            voice = voices.create(name)
        set_reference(voice, clip, text)
        return voice.name

    def stored(self, voice: str) -> "StoredSpeakers":
        """The speakers that are kept with a voice, for CosyVoice. Raises NotFound."""
        from core.engines.cosyvoice2.stored import StoredSpeakers

        found = self._voices().get(voice)
        return StoredSpeakers(found, lambda model: Path(self.service.choose("cosyvoice2", model)[1]))

    def presets(self, engine: str, model: str) -> list[str]:
        """Names of a model's own voices, for CosyVoice; empty for others and where they cannot be read."""
        from core.engines.cosyvoice2.models import preset_names

        try:
            return preset_names(Path(self.service.choose(engine, model)[1])) if engine == "cosyvoice2" else []
        except StudioError:
            return []

    def checked(self, request: SpeechRequest) -> SpeechRequest:
        """The request with its engine and model chosen, refused at once if it cannot be spoken.

        Raises BadInput (nothing to say, options), NotFound, Unavailable.
        """
        from core.speech import sentences
        from core.subtitles.options import parse_options

        sentences.split(request.text)
        engine, folder = self.service.choose(request.engine, request.model)
        if request.voice is not None:
            self._voices().get(request.voice)
        if request.prompt_audio is not None:
            self.examine(request.prompt_audio)
        parsed = parse_options(options_class(engine), dict(request.options))
        if request.voice is not None and (stored := getattr(parsed, "stored", "")):
            self.stored(request.voice).about(stored)
        return replace(request, engine=engine, model=Path(folder).name if folder else "")

    def transcribe(self, clip: Path) -> str:
        """What is said in a clip, by the best recogniser that is here. Raises Unavailable, BadInput."""
        from core.audio.decode import load
        from core.speech.prompt import MAX_S
        from core.transcribe.models import PREFIX, here
        from core.transcribe.options import TranscribeOptions
        from core.transcribe.recogniser import open_recogniser

        engine = next((name for name in PREFIX if here(self._settings, name)), "whisper")
        options = TranscribeOptions.model_validate({"audio": str(clip), "out": "", "engine": engine})
        words = open_recogniser(self._settings, options).words(load(clip, 16000, MAX_S), lambda: None)
        return "".join(word.text for word in words).strip()


def options_class(engine: str) -> type[SpeechOptions]:
    """The settings of an engine, the built-in one included. Raises BadInput."""
    from core.service.speech import BUILTIN

    if engine == BUILTIN:
        from core.service.builtin_speech import BuiltinOptions

        return BuiltinOptions
    found: type[SpeechOptions] = registry.options_class(engine)
    return found
