"""VoxCPM as a speech engine: one loaded model, any number of sessions."""

import contextlib
import threading
from collections.abc import Generator, Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.engines.voxcpm import graphs
from core.engines.voxcpm.adapters import Adapter, Adapters, base_of, is_lora
from core.engines.voxcpm.decoder import StreamingDecoder
from core.engines.voxcpm.generation import Generation, latents_of
from core.engines.voxcpm.loading import Network, load_network, out_of_memory
from core.engines.voxcpm.options import VoxOptions
from core.engines.voxcpm.prompts import VoxPrompt, cached_encode
from core.errors import BadInput, Conflict
from core.speech import sentences
from core.speech.chunk import Chunk
from core.speech.engine import Capabilities, Engine, Session, Text
from core.speech.options import MAX_SEED
from core.speech.prompt import ReferenceClip
from core.speech.reading import normalised, normalisers
from core.speech.running import RunningSessions
from core.speech.sentences import Sentence

UNREAD = "Numbers are said as they are written: the package wetext, which writes them out, is not installed."
_WINDOW_PATCHES = 8  # decoded at once when nobody waits for the first sound


def load(folder: Path, device: str = "cpu") -> "VoxEngine":
    """Load a model folder, or the folder of a LoRA with the model that it names. Raises ModelFileError, Unavailable,
    BadInput (GPU memory)."""
    lora = folder if is_lora(folder) else None
    engine = VoxEngine(load_network(base_of(folder) if lora else folder, device), lora=lora)
    if lora is not None:
        engine.session(VoxOptions())  # says at once what does not fit
    if engine.net.device.type == "cuda":
        graphs.install(engine.net.model, engine.adapters)
    return engine


class VoxEngine(Engine[VoxOptions, VoxPrompt]):
    """A loaded VoxCPM. Sessions take turns patch by patch, so that none waits for another's whole request."""

    name = "voxcpm"
    options = VoxOptions

    def __init__(self, net: Network, lora: Path | None = None) -> None:
        """`lora`: the folder of the one that speaks where the options name none."""
        self._net: Network | None = net
        self._lora = lora
        self._turn = threading.Lock()
        self.sessions = RunningSessions()
        self.adapters = Adapters()

    @property
    def net(self) -> Network:
        """The model. Raises Conflict after `unload`."""
        if self._net is None:
            raise Conflict("This model was unloaded.", "Load it again.")
        return self._net

    @property
    def capabilities(self) -> Capabilities:
        """What it can do."""
        net = self.net
        more = ("reference", "reference+continuation", "description") if net.is_v2 else ()
        return Capabilities(
            model=f"{net.folder.name} ({'VoxCPM 2' if net.is_v2 else 'VoxCPM 0.5B or 1.5'})",
            sample_rate_hz=net.sample_rate_hz,
            prompt_rate_hz=net.encode_rate_hz,
            modes=("random", "continuation", *more),
            languages=("zh", "en", "ja", "ko", "de", "fr", "es", "it", "pt", "ru") if net.is_v2 else ("zh", "en"),
            max_tokens=net.max_length,
        )

    @property
    def memory_bytes(self) -> int:
        """Weights and what the running sessions remember; 0 after `unload`."""
        if self._net is None:
            return 0
        return self._net.memory_bytes + self.adapters.memory_bytes + self.sessions.memory_bytes

    def prompt(
        self, clip: ReferenceClip | None, reference: ReferenceClip | None = None, cache: Path | None = None
    ) -> VoxPrompt:
        """Latents of a clip with transcript, of a reference alone (VoxCPM 2), or of both.

        `cache`: folder to keep them in. Raises BadInput: a clip without transcript, a reference for an older model.
        """
        if reference is not None and not self.net.is_v2:
            raise BadInput(
                "Only VoxCPM 2 takes a reference clip without what is said in it.",
                "Give the clip's transcript, or choose a VoxCPM 2 model.",
                where="prompt",
            )
        if clip is not None and not sentences.speakable(clip.text):
            raise BadInput(
                f"What is said in {clip.path.name} is missing.",
                "Write or transcribe it; with VoxCPM 2 the clip can also be a reference without it.",
                where="prompt_text",
            )
        with self.turn():
            audio = cached_encode(self.net, clip, cache, continuation=True) if clip else None
            voice = cached_encode(self.net, reference, cache, continuation=False) if reference else None
        return VoxPrompt(sentences.clean(clip.text) if clip else "", audio, voice)

    def session(self, options: VoxOptions, prompt: VoxPrompt | None = None) -> "VoxSession":
        """A new request.

        Raises BadInput for settings that contradict the prompt or the model, ModelFileError for a LoRA of another one.
        """
        if options.description and (not self.net.is_v2 or (prompt is not None and prompt.audio is not None)):
            raise BadInput(
                "A description of the voice works with VoxCPM 2 only, and not beside a clip with transcript: it would "
                "be read aloud.",
                "Leave the description out, or give the clip as a reference without transcript.",
                where="description",
            )
        adapter = None
        lora = Path(options.lora).expanduser() if options.lora else self._lora
        if lora is not None:
            with self.turn():
                adapter = self.adapters.load(self.net, lora)
        return VoxSession(self, options.seeded(), prompt, adapter)

    def unload(self) -> None:
        """Free the memory. Raises Conflict while sessions run."""
        self.sessions.release(self._free)

    def _free(self) -> None:
        self._net, self.adapters = None, Adapters()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    @contextlib.contextmanager
    def turn(self, adapter: Adapter | None = None) -> Iterator[None]:
        """The model for one step of one session, with the session's LoRA."""
        with self._turn, self.adapters.on(adapter):
            try:
                yield
            except torch.OutOfMemoryError as err:
                torch.cuda.empty_cache()
                raise out_of_memory(str(self.net.device)) from err


class VoxSession(Session):
    """One request. The same seed, text, prompt and settings give the same sound, streamed or not.

    Long texts are said sentence by sentence, each with the same prompt, so that the voice cannot drift. Without a
    prompt the first sentence becomes the prompt of the others.
    """

    def __init__(
        self, engine: VoxEngine, options: VoxOptions, prompt: VoxPrompt | None, adapter: Adapter | None
    ) -> None:
        super().__init__()
        assert options.seed is not None
        self.seed = options.seed
        self.warnings: list[str] = []
        self._engine, self._options, self._prompt, self._adapter = engine, options, prompt, adapter
        self._state: tuple[Generation, StreamingDecoder] | None = None

    @property
    def memory_bytes(self) -> int:
        """What the sentence in the making remembers."""
        state = self._state
        return state[0].memory_bytes + state[1].memory_bytes if state else 0

    @property
    def sample_rate_hz(self) -> int:
        """Of its chunks."""
        return self._engine.net.sample_rate_hz

    def stream(self, text: Text, *, live: bool = True) -> Generator[Chunk, None, None]:
        """Chunks of `patches_a_chunk` patches while they are made. See the base class."""
        self.begin()
        return self._chunks(text, live=live)

    def _chunks(self, text: Text, *, live: bool) -> Generator[Chunk, None, None]:
        rate_hz = self.sample_rate_hz
        pause = np.zeros(0, np.float32)
        index = number = 0
        said = ""
        finished = False
        with self._engine.sessions.counting(self), contextlib.ExitStack() as cleanup:
            cleanup.callback(self._forget)
            for sentence, last in self._sentences(text):
                said = sentence.text
                for audio, ends in self._sentence(sentence, number, live=live):
                    whole = np.concatenate([pause, audio]) if pause.size else audio
                    pause = pause[:0]
                    finished = last and ends
                    yield Chunk(whole, rate_hz, index, number, said, finished)
                    index += 1
                pause_ms = self._options.paragraph_pause_ms if sentence.paragraph else self._options.pause_ms
                pause = np.zeros(round(pause_ms * rate_hz / 1000), np.float32)
                number += 1
            if number == 0:
                raise BadInput(
                    "There is nothing to say: the text is empty.", "Write what should be said.", where="text"
                )
            if not finished:
                yield Chunk(np.zeros(0, np.float32), rate_hz, index, number - 1, said, True)

    def _sentences(self, text: Text) -> Iterator[tuple[Sentence, bool]]:
        weight = self._options.max_weight
        if not isinstance(text, str):
            return sentences.stream(text, weight)
        whole = sentences.split(text, weight)
        return ((sentence, n == len(whole)) for n, sentence in enumerate(whole, start=1))

    def _sentence(self, sentence: Sentence, number: int, *, live: bool) -> Iterator[tuple[NDArray[np.float32], bool]]:
        """(sound, whether the sentence ends with it) of one sentence."""
        patches: list[Tensor] = []
        words = self._read(sentence.text)
        made = self._patches(words, number, 0) if live else iter(self._retried(words, number))
        size = self._options.patches_a_chunk if live else _WINDOW_PATCHES
        waiting: list[Tensor] = []
        decoder: StreamingDecoder | None = None
        bad = False
        for generation, patch, ends in made:
            bad = generation.bad
            if decoder is None:
                decoder = self._warm(generation)
            patches.append(patch)
            waiting.append(patch)
            if len(waiting) == size or ends:
                with self._engine.turn():
                    audio = _decoded(decoder, waiting, size)
                waiting.clear()
                yield audio, ends
        if bad:
            text = sentence.text if len(sentence.text) <= 40 else sentence.text[:40] + "…"
            self.warnings.append(f"Sentence {number + 1} did not come to an end by itself: {text}")
        if self._prompt is None or (self._prompt.audio is None and self._prompt.reference is None):
            self._prompt = VoxPrompt(words, torch.stack(patches).float().cpu())
            self._options = self._options.model_copy(update={"description": ""})

    def _read(self, text: str) -> str:
        """The sentence as it is read aloud."""
        if not self._options.normalise:
            return text
        if not normalisers() and any(map(str.isdigit, text)) and UNREAD not in self.warnings:
            self.warnings.append(UNREAD)
        return normalised(text)

    def _retried(self, text: str, number: int) -> list[tuple[Generation, Tensor, bool]]:
        for attempt in range(self._options.retries + 1):
            made = list(self._patches(text, number, attempt))
            if not made[-1][0].bad:
                break
        return made

    def _patches(self, text: str, number: int, attempt: int) -> Iterator[tuple[Generation, Tensor, bool]]:
        """(the generation, patch [P, D], whether it is the last) of one sentence."""
        seed = (self.seed + number + 10_007 * attempt) % (MAX_SEED + 1)
        noise = torch.Generator().manual_seed(seed)
        spoken = f"({self._options.description}){text}" if self._options.description else text
        self.check()
        with self._engine.turn(self._adapter):
            generation = Generation(self._engine.net, spoken, self._prompt, self._options, noise)
            self._state = generation, StreamingDecoder(self._engine.net.model.audio_vae, noise)
        ends = False
        while not ends:
            self.check()
            with self._engine.turn(self._adapter):
                patch, ends = generation.step()
            yield generation, patch, ends

    def _warm(self, generation: Generation) -> StreamingDecoder:
        """A decoder that has heard the end of the prompt, as if the sentence went on from it."""
        assert self._state is not None
        decoder = self._state[1]
        context = generation.context
        if context is not None:
            with self._engine.turn():
                _decoded(decoder, list(context), _WINDOW_PATCHES)
        return decoder

    def _forget(self) -> None:
        self._state = None


@torch.inference_mode()
def _decoded(decoder: StreamingDecoder, patches: list[Tensor], size: int) -> NDArray[np.float32]:
    """The sound of patches [P, D]: `size` at once, or else one by one.

    Only two lengths ever reach the convolutions, whose CPU kernels are made anew, slowly, for each other length.
    """
    whole = [patches] if len(patches) == size else [[patch] for patch in patches]
    return np.concatenate([decoder(latents_of(torch.stack(part))).cpu().numpy() for part in whole])
