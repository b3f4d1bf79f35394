"""VoxCPM by nano-vllm-voxcpm, which batches requests on an NVIDIA GPU: an optional backend, thin.

The package's server is a process of its own and its interface is asynchronous: one event loop in a thread serves every
session. It decodes with the prompt as context and keeps a state for each stream, so chunks need no mending. Its chance
is drawn from one source for all requests: a seed repeats a sound only if nothing else is spoken meanwhile.
"""

import asyncio
import inspect
import io
import threading
from collections.abc import AsyncIterator, Coroutine, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from core.engines.voxcpm import adapters
from core.engines.voxcpm.nano_models import NanoOptions, check
from core.engines.voxcpm.prompts import joined_text
from core.errors import BadInput, ModelFileError, StudioError, Unavailable
from core.speech import sentences
from core.speech.chunk import Chunk
from core.speech.engine import Capabilities, Engine, Session, Text
from core.speech.options import MAX_SEED
from core.speech.prompt import ReferenceClip
from core.speech.reading import normalised
from core.speech.running import RunningSessions

_HINT = "See the log; the engine voxcpm speaks the same model without this package."
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class NanoPrompt:
    """Latents as the package's server hands them out, and what is said in those that are gone on from."""

    text: str = ""
    audio: bytes | None = None
    reference: bytes | None = None


def load(folder: Path, device: str = "cuda:0") -> "NanoEngine":
    """Start the package's server on a model folder. Raises Unavailable (package, GPU), ModelFileError."""
    check()
    if not device.startswith("cuda"):
        raise Unavailable("nano-vllm-voxcpm needs an NVIDIA GPU.", "Choose the engine voxcpm.", where="device")
    if adapters.is_lora(folder):
        raise ModelFileError(
            f"{folder.name} is a LoRA; this backend speaks whole models.",
            "Choose the engine voxcpm, or merge the LoRA into its model first.",
            where=str(folder),
        )
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="nano-vllm", daemon=True).start()
    try:
        return NanoEngine(loop, _waited(loop, _started(folder, int(device.partition(":")[2] or 0))))
    except BaseException:
        loop.call_soon_threadsafe(loop.stop)
        raise


async def _started(folder: Path, gpu: int) -> tuple[Any, dict[str, Any]]:
    from nanovllm_voxcpm import VoxCPM

    # The package takes nine tenths of the GPU and hundreds of requests by itself; here others live on it too.
    pool = VoxCPM.from_pretrained(model=str(folder), devices=[gpu], max_num_seqs=16, gpu_memory_utilization=0.6)
    await pool.wait_for_ready()
    return pool, await pool.get_model_info()


def _waited(loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, Answer]) -> Answer:
    """The answer of the loop's thread. Raises StudioError for whatever the package raises."""
    try:
        return asyncio.run_coroutine_threadsafe(work, loop).result()
    except StudioError:
        raise
    # The boundary to the package: its server sends tracebacks as text.
    except Exception as err:
        last = (str(err).strip().splitlines() or [type(err).__name__])[-1]
        raise Unavailable(f"nano-vllm-voxcpm failed: {last[:300]}.", _HINT, where="nanovllm") from err


class NanoEngine(Engine[NanoOptions, NanoPrompt]):
    """A running server of the package."""

    name = "nanovllm"
    options = NanoOptions

    def __init__(self, loop: asyncio.AbstractEventLoop, started: tuple[Any, dict[str, Any]]) -> None:
        self.loop, (self.pool, self._info) = loop, started
        self.sessions = RunningSessions()
        self.seeded = "seed" in inspect.signature(self.pool.generate).parameters

    @property
    def is_v2(self) -> bool:
        """True for VoxCPM 2, whose encoder has a rate of its own."""
        return "encoder_sample_rate" in self._info

    @property
    def capabilities(self) -> Capabilities:
        """What it can do."""
        more = ("reference", "reference+continuation", "description") if self.is_v2 else ()
        rate_hz = int(self._info["sample_rate"])
        return Capabilities(
            model=f"{Path(str(self._info['model_path'])).name} (nano-vllm)",
            sample_rate_hz=rate_hz,
            prompt_rate_hz=int(self._info.get("encoder_sample_rate", rate_hz)),
            modes=("random", "continuation", *more),
            languages=("zh", "en", "ja", "ko", "de", "fr", "es", "it", "pt", "ru") if self.is_v2 else ("zh", "en"),
            max_tokens=4096,
        )

    @property
    def memory_bytes(self) -> int:
        """0: the server's memory is another process's, which takes its share of the GPU as it starts."""
        return 0

    def prompt(
        self, clip: ReferenceClip | None, reference: ReferenceClip | None = None, cache: Path | None = None
    ) -> NanoPrompt:
        """See the base class; nothing is kept in `cache`."""
        if reference is not None and not self.is_v2:
            raise BadInput("Only VoxCPM 2 takes a clip without its words.", "Give them.", where="prompt")
        if clip is not None and not sentences.speakable(clip.text):
            raise BadInput(f"What is said in {clip.path.name} is missing.", "Write it.", where="prompt_text")
        audio, voice = (self._latents(one) if one is not None else None for one in (clip, reference))
        return NanoPrompt(sentences.clean(clip.text) if clip else "", audio, voice)

    def _latents(self, clip: ReferenceClip) -> bytes:
        import soundfile

        held = io.BytesIO()
        soundfile.write(held, clip.audio, clip.rate_hz, format="WAV", subtype="FLOAT")
        return bytes(_waited(self.loop, self.pool.encode_latents(held.getvalue(), "wav")))

    def session(self, options: NanoOptions, prompt: NanoPrompt | None = None) -> "NanoSession":
        """A new request. Raises BadInput for a description that would be read aloud."""
        if options.description and (not self.is_v2 or (prompt is not None and prompt.audio is not None)):
            raise BadInput("A description works with VoxCPM 2 without a transcript.", where="description")
        return NanoSession(self, options.seeded(), prompt or NanoPrompt())

    def unload(self) -> None:
        """Stop the server. Raises Conflict while sessions run."""
        self.sessions.release(self._stop)

    def _stop(self) -> None:
        try:
            _waited(self.loop, self.pool.stop())
        finally:
            self.loop.call_soon_threadsafe(self.loop.stop)


class NanoSession(Session):
    """One request, said sentence by sentence with the same prompt."""

    def __init__(self, engine: NanoEngine, options: NanoOptions, prompt: NanoPrompt) -> None:
        super().__init__()
        assert options.seed is not None
        self.seed, self.warnings = options.seed, list[str]()
        self._engine, self._options, self._prompt = engine, options, prompt

    @property
    def sample_rate_hz(self) -> int:
        """Of its chunks."""
        return self._engine.capabilities.sample_rate_hz

    def stream(self, text: Text, *, live: bool = True) -> Generator[Chunk, None, None]:
        """The package's chunks as they come; `live` makes no difference. See the base class."""
        self.begin()
        known = sentences.split(text, self._options.max_weight) if isinstance(text, str) else None
        return self._chunks(known, text)

    def _chunks(self, known: Any, text: Text) -> Generator[Chunk, None, None]:
        options, rate_hz = self._options, self.sample_rate_hz
        pause, index, number, said = np.zeros(0, np.float32), 0, 0, ""
        with self._engine.sessions.counting(self):
            for sentence in known or (one for one, _ in sentences.stream(text, options.max_weight)):
                said = sentence.text
                for audio in self._spoken(normalised(said) if options.normalise else said, number):
                    yield Chunk(np.concatenate([pause, audio]), rate_hz, index, number, said)
                    pause, index = pause[:0], index + 1
                pause_ms = options.paragraph_pause_ms if sentence.paragraph else options.pause_ms
                pause = np.zeros(round(pause_ms * rate_hz / 1000), np.float32)
                number += 1
            if not number:
                raise BadInput("There is nothing to say: the text is empty.", "Write it.", where="text")
            yield Chunk(np.zeros(0, np.float32), rate_hz, index, number - 1, said, True)

    def _spoken(self, text: str, number: int) -> Iterator[np.ndarray[Any, np.dtype[np.float32]]]:
        engine, prompt = self._engine, self._prompt
        described = f"({self._options.description}){text}" if self._options.description else text
        wanted: dict[str, Any] = {"cfg_value": self._options.cfg, "max_generate_length": self._options.max_patches}
        if prompt.audio is not None:
            wanted |= {"prompt_latents": prompt.audio, "prompt_text": joined_text(prompt.text, "")}
        if prompt.reference is not None:
            wanted["ref_audio_latents"] = prompt.reference
        if engine.seeded:
            wanted["seed"] = (self.seed + number) % (MAX_SEED + 1)
        made: AsyncIterator[Any] = engine.pool.generate(target_text=described, **wanted)

        async def following() -> Any:
            return await anext(made, None)

        try:
            while (piece := _waited(engine.loop, following())) is not None:
                self.check()
                yield np.asarray(piece, np.float32).reshape(-1)
        finally:
            _waited(engine.loop, made.aclose())  # type: ignore[attr-defined]  # the package's is a generator
