"""CosyVoice2 and Fun-CosyVoice3 as a speech engine: one loaded model, any number of sessions."""

from collections.abc import Generator, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from torch import Tensor

from core.engines.cosyvoice2.hearing import END_OF_PROMPT
from core.engines.cosyvoice2.loading import Model, load_model
from core.engines.cosyvoice2.options import CosyOptions
from core.engines.cosyvoice2.speaker import SPEAKERS, Speaker, SpeakerStore
from core.engines.cosyvoice2.utterance import Utterance
from core.errors import BadInput, Conflict, NotFound
from core.speech import sentences
from core.speech.chunk import Chunk
from core.speech.engine import Capabilities, Engine, Session, Text
from core.speech.options import MAX_SEED
from core.speech.prompt import ReferenceClip
from core.speech.reading import Reading, normalised, normalisers, pieces
from core.speech.running import RunningSessions

_HELPFUL = "You are a helpful assistant."
_ASSISTANT = f"{_HELPFUL}{END_OF_PROMPT}"  # version 3 was trained with it before the clip's words


def load(folder: Path, device: str = "cpu") -> "CosyEngine":
    """Load a released folder. Raises ModelFileError, Unavailable."""
    return CosyEngine(load_model(folder, device))


class CosyEngine(Engine[CosyOptions, Speaker]):
    """A loaded model. Sessions share its weights and nothing else."""

    name = "cosyvoice2"
    options = CosyOptions

    def __init__(self, model: Model) -> None:
        self._model: Model | None = model
        self.sessions = RunningSessions()

    @property
    def model(self) -> Model:
        """The model. Raises Conflict after `unload`."""
        if self._model is None:
            raise Conflict("This model was unloaded.", "Load it again.")
        return self._model

    @property
    def capabilities(self) -> Capabilities:
        """What it can do."""
        model = self.model
        modes = ("continuation", "reference", *(("preset",) if model.presets else ()))
        return Capabilities(
            model=f"{model.folder.name} ({'Fun-CosyVoice3' if model.config.version == 3 else 'CosyVoice2'})",
            sample_rate_hz=model.config.sample_rate_hz,
            prompt_rate_hz=24000,
            modes=modes,
            languages=("zh", "en", "ja", "ko", "yue"),
            max_tokens=model.language_model.longest,
        )

    @property
    def memory_bytes(self) -> int:
        """Weights and what the running sessions remember; 0 after `unload`."""
        if self._model is None:
            return 0
        return self._model.memory_bytes + self.sessions.memory_bytes

    @property
    def presets(self) -> dict[str, Speaker]:
        """The model's own voices, by name."""
        return dict(self.model.presets)

    def preset(self, name: str) -> Speaker:
        """One of the model's own voices. Raises NotFound."""
        if name not in self.model.presets:
            known = ", ".join(self.model.presets) or "none: the model came without spk2info.pt"
            raise NotFound(f"This model has no voice {name!r}.", f"It has {known}.", where="preset")
        return self.model.presets[name]

    def prompt(
        self, clip: ReferenceClip | None, reference: ReferenceClip | None = None, cache: Path | None = None
    ) -> Speaker:
        """What the models make of a clip. With its transcript it can be continued, without it lends its sound.

        What is kept in `cache` serves until the clip's bytes, its words or the models that heard it change. Raises
        BadInput.
        """
        chosen = clip or reference
        if chosen is None or (clip is not None and reference is not None):
            raise BadInput(
                "CosyVoice takes one clip.", "Give a clip, with what is said in it or without.", where="prompt"
            )
        if clip is None:
            chosen = replace(chosen, text="")
        ears = self.model.ears
        if cache is None or not chosen.sha256:
            return ears.speaker(chosen)
        name = f"{chosen.path.stem[:60]}.{'continuation' if chosen.text else 'reference'}"
        store, made_of = SpeakerStore(cache), ears.made_of(chosen)
        speaker = store.recall(name, made_of)
        if speaker is None:
            speaker = ears.speaker(chosen)
            store.add(name, speaker, replace=True, made_of=made_of)
        return speaker

    def stored(self, voice: Path, name: str) -> Speaker:
        """A speaker that was stored with a voice, whose folder this is; nothing is encoded.

        Raises NotFound, ModelFileError, Conflict (other models heard it: its tokens mean nothing to this one).
        """
        store = SpeakerStore(voice / SPEAKERS)
        speaker = store.get(name)
        if store.about(name).made_of.get("ears") != self.model.ears.fingerprint:
            raise Conflict(
                f"The speaker {name!r} was stored with another model than {self.model.folder.name}.",
                "Choose that model, or store the clip again with this one.",
                where="stored",
            )
        return speaker

    def session(self, options: CosyOptions, prompt: Speaker | None = None) -> "CosySession":
        """A new request. Raises BadInput for a voice that the mode cannot use."""
        if options.preset and prompt is not None:
            raise BadInput("Give either a clip or a voice of the model's own, not both.", "", where="preset")
        if options.stored and prompt is None:
            raise BadInput("A stored speaker is a voice's.", "Name the voice too.", where="stored")
        if prompt is None and options.preset:
            prompt = self.preset(options.preset)
        if prompt is None:
            if not self.model.presets:
                raise BadInput(
                    "CosyVoice needs a voice, and this model came without any of its own.",
                    "Give a reference clip, or a stored speaker.",
                    where="prompt",
                )
            prompt = next(iter(self.model.presets.values()))
        return CosySession(self, options.seeded(), prompt)

    def unload(self) -> None:
        """Free the memory. Raises Conflict while sessions run."""
        self.sessions.release(self._free)

    def _free(self) -> None:
        self._model = None


class CosySession(Session):
    """One request. A whole text is said sentence by sentence; a text in pieces in one breath, as it arrives.

    The same seed, text, voice and settings give the same sound, streamed or not, as long as `mel_cache_len` is the
    exact one (smaller ones fade at the seams of a stream).
    """

    def __init__(self, engine: CosyEngine, options: CosyOptions, speaker: Speaker) -> None:
        super().__init__()
        assert options.seed is not None
        self.seed = options.seed
        self.warnings: list[str] = []
        self._engine, self._options, self._speaker = engine, options, speaker
        self._utterance: Utterance | None = None
        self._said, self._continues = self._way()

    def _way(self) -> tuple[list[int], bool]:
        """Text tokens before the text, and whether the language model hears the clip: what a mode comes down to."""
        model, speaker, mode = self._engine.model, self._speaker, self._options.mode
        if mode == "auto":
            mode = "zero_shot" if speaker.has_clip and speaker.has_text else "cross_lingual"
        version_3 = model.config.version == 3
        if mode == "instruct":
            told = f"{self._options.instruct.strip()}{END_OF_PROMPT}"
            return model.text_ids(f"{_HELPFUL} {told}" if version_3 else told), False
        if mode == "zero_shot":
            if not (speaker.has_clip and speaker.has_text):
                raise BadInput(
                    "This voice has no clip with its words, so it cannot be continued.",
                    "Write what is said in the clip, or use the mode cross_lingual.",
                    where="mode",
                )
            said = speaker.text[0].tolist()
            marked = model.text_ids(END_OF_PROMPT)[0] in said
            return (model.text_ids(_ASSISTANT) if version_3 and not marked else []) + said, True
        # A preset with a stored clip continues it; one of an embedding alone has nothing to continue.
        if mode == "preset" and speaker.has_clip and speaker.has_text:
            return speaker.text[0].tolist(), True
        return (model.text_ids(_ASSISTANT) if version_3 else []), False

    @property
    def memory_bytes(self) -> int:
        """What the utterance in the making remembers."""
        return self._utterance.memory_bytes if self._utterance else 0

    @property
    def sample_rate_hz(self) -> int:
        """Of its chunks."""
        return self._engine.model.config.sample_rate_hz

    def stream(self, text: Text, *, live: bool = True) -> Generator[Chunk, None, None]:
        """Chunks as they are made. See the base class."""
        self.begin()
        return self._chunks(text, live=live)

    def _chunks(self, text: Text, *, live: bool) -> Generator[Chunk, None, None]:
        number, index, words = 0, 0, ""
        with self._engine.sessions.counting(self):
            try:
                said = self._whole(text, live) if isinstance(text, str) else self._arriving(text, live)
                for number, words, audio in said:
                    yield Chunk(audio.numpy(), self.sample_rate_hz, index, number, words)
                    index += 1
                yield Chunk(np.zeros(0, np.float32), self.sample_rate_hz, index, number, words, True)
            finally:
                self._utterance = None

    def _open(self, number: int, *, interleaved: bool, live: bool) -> Utterance:
        self._utterance = Utterance(
            self._engine.model,
            self._speaker,
            self._options,
            (self.seed + number) % (MAX_SEED + 1),
            said=self._said,
            continues=self._continues,
            interleaved=interleaved,
            live=live,
        )
        return self._utterance

    def _spoken(self, utterance: Utterance) -> Iterator[Tensor]:
        while not utterance.done:
            self.check()
            piece = utterance.step()
            if piece is None:
                return
            if len(piece):
                yield piece

    def _whole(self, text: str, live: bool) -> Iterator[tuple[int, str, Tensor]]:
        """(number of the sentence, its words, audio), with pauses."""
        import torch

        pause_ms = 0
        for number, sentence in enumerate(sentences.split(text, self._options.max_weight)):
            if pause_ms:
                yield number, sentence.text, torch.zeros(round(pause_ms * self.sample_rate_hz / 1000))
            utterance = self._open(number, interleaved=False, live=live)
            utterance.feed(self._ids(normalised(sentence.text) if self._options.normalise else sentence.text))
            utterance.end()
            for audio in self._spoken(utterance):
                yield number, sentence.text, audio
            pause_ms = self._options.paragraph_pause_ms if sentence.paragraph else self._options.pause_ms

    def _arriving(self, text: Text, live: bool) -> Iterator[tuple[int, str, Tensor]]:
        """(0, the words so far, audio): one sentence as long as the text."""
        utterance, words, reading = self._open(0, interleaved=True, live=live), "", Reading()
        for piece in pieces(text):
            self.check()
            words += piece
            if len(words) > sentences.MAX_CHARS:
                raise BadInput(
                    f"The text has more than {sentences.MAX_CHARS:,} characters.", "Split it into parts.", where="text"
                )
            utterance.feed(self._ids(reading(piece) if self._options.normalise else piece))
            for audio in self._spoken(utterance):
                yield 0, words, audio
        if not sentences.speakable(words):
            raise BadInput("There is nothing to say: the text is empty.", "Write what should be said.", where="text")
        utterance.end()
        for audio in self._spoken(utterance):
            yield 0, words, audio

    def _ids(self, text: str) -> list[int]:
        if self._options.normalise and not self.warnings and not normalisers() and any(map(str.isdigit, text)):
            self.warnings.append("Numbers were not written out: the package wetext is not installed.")
        return self._engine.model.text_ids(text)
