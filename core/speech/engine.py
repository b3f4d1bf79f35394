"""The interface of a speech engine. One loaded engine serves many requests at once; each has a session of its own."""

import asyncio
import threading
from abc import ABC, abstractmethod
from collections.abc import AsyncIterable, AsyncIterator, Generator, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np

from core.errors import BadInput, Cancelled, Conflict, StudioError
from core.speech.chunk import Chunk, Speech, joined
from core.speech.options import SpeechOptions
from core.speech.prompt import ReferenceClip

Text = str | Iterable[str]
"""A whole text, or its pieces as they come."""

Options = TypeVar("Options", bound=SpeechOptions)
Prompt = TypeVar("Prompt")


@dataclass(frozen=True)
class Capabilities:
    """What a loaded model can do.

    Attributes:
        model: what it is, in words.
        sample_rate_hz: of the speech that it makes.
        prompt_rate_hz: at which it wants reference clips.
        modes: ways to choose the voice: "random", "continuation" (clip and its transcript), "reference" (clip alone),
            "reference+continuation", "description".
        languages: codes, for the page; others may work.
        max_tokens: room for prompt, text and speech of one sentence together.
    """

    model: str
    sample_rate_hz: int
    prompt_rate_hz: int
    modes: tuple[str, ...]
    languages: tuple[str, ...]
    max_tokens: int


class Session(ABC):
    """One request: its text, voice, settings and everything that is remembered while it is spoken.

    Use it for one `stream` or `speak`. Sessions of one engine may run interleaved or in several threads; none sees
    anything of another.

    Attributes:
        seed: the number that makes the same speech again.
        warnings: filled while it runs, sentences for a person.
    """

    seed: int
    warnings: list[str]

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._used = False

    def begin(self) -> None:
        """Called by `stream`: a session serves one request. Raises Conflict the second time."""
        if self._used:
            raise Conflict("This session has spoken.", "Open another session for another request.")
        self._used = True

    @property
    def memory_bytes(self) -> int:
        """What it remembers while it speaks."""
        return 0

    @property
    @abstractmethod
    def sample_rate_hz(self) -> int:
        """Of its chunks."""

    @abstractmethod
    def stream(self, text: Text, *, live: bool = True) -> Generator[Chunk, None, None]:
        """Chunks as they are made; the last has `final` set. Closing the iterator ends the request.

        `live` False: nobody waits for the first sound, so the pieces are larger, and a sentence that failed is tried
        again. Raises BadInput (nothing to say, too long for the model), Cancelled.
        """

    def speak(self, text: Text) -> Speech:
        """The whole at once. Raises as `stream` does, and StudioError if what came out is no sound at all."""
        chunks = list(self.stream(text, live=False))
        audio = joined(chunks)
        if not np.isfinite(audio).all():
            raise StudioError(
                "The model gave numbers that are no sound.",
                "Try another seed; if it stays, the model is damaged or was trained to pieces.",
            )
        said = {chunk.sentence: chunk.text for chunk in chunks}
        return Speech(audio, self.sample_rate_hz, self.seed, tuple(said.values()), tuple(self.warnings))

    def cancel(self) -> None:
        """Stop within one step. Safe from any thread and in a signal handler."""
        self._stop.set()

    def check(self) -> None:
        """Raise Cancelled if the request was cancelled."""
        if self._stop.is_set():
            raise Cancelled()

    async def astream(self, text: str | AsyncIterable[str] | Iterable[str]) -> AsyncIterator[Chunk]:
        """`stream` for an event loop: the work runs in a thread, the text may come from an async source.

        Leaving the loop early cancels the session.
        """
        loop = asyncio.get_running_loop()
        out: asyncio.Queue[Chunk | None] = asyncio.Queue()
        source: Text = _pulled(text, loop, self._stop) if isinstance(text, AsyncIterable) else text

        def work() -> None:
            try:
                for chunk in self.stream(source):
                    loop.call_soon_threadsafe(out.put_nowait, chunk)
            finally:
                loop.call_soon_threadsafe(out.put_nowait, None)

        worker = asyncio.create_task(asyncio.to_thread(work))
        try:
            while (chunk := await out.get()) is not None:
                yield chunk
            await worker
        finally:
            self.cancel()
            await asyncio.gather(worker, return_exceptions=True)


def _pulled(source: AsyncIterable[str], loop: asyncio.AbstractEventLoop, stop: threading.Event) -> Iterator[str]:
    """The pieces of an async source, for a thread that is not the loop's."""
    pieces = aiter(source)

    async def following() -> str | None:
        return await anext(pieces, None)

    while True:
        future = asyncio.run_coroutine_threadsafe(following(), loop)
        while True:
            try:
                piece = future.result(timeout=0.1)
                break
            except TimeoutError:
                if stop.is_set():
                    future.cancel()
                    raise Cancelled() from None
        if piece is None:
            return
        yield piece


class Engine(ABC, Generic[Options, Prompt]):
    """A loaded model.

    Attributes:
        name: of the engine, as in the registry.
        options: the class of its settings.
    """

    name: str
    options: type[Options]

    @property
    @abstractmethod
    def capabilities(self) -> Capabilities:
        """What it can do."""

    @property
    @abstractmethod
    def memory_bytes(self) -> int:
        """What it holds in memory now, its sessions included."""

    @abstractmethod
    def prompt(
        self, clip: ReferenceClip | None, reference: ReferenceClip | None = None, cache: Path | None = None
    ) -> Prompt:
        """What the model makes of a clip with its transcript, of a reference alone, or of both.

        `cache`: folder to keep the result in. Raises BadInput where the model has no such mode.
        """

    def stored(self, voice: Path, name: str) -> Prompt:
        """A speaker that was stored with a voice, whose folder this is. Raises BadInput where there are none."""
        raise BadInput(f"{self.name} stores no speakers.", "Leave the name out.", where="stored")

    @abstractmethod
    def session(self, options: Options, prompt: Prompt | None = None) -> Session:
        """A new request. Raises BadInput for settings that contradict each other or the prompt."""

    @abstractmethod
    def unload(self) -> None:
        """Free the memory. Raises Conflict while sessions run."""

    def speak(self, text: Text, options: Options | None = None, prompt: Prompt | None = None) -> Speech:
        """One request, whole."""
        return self.session(options or self.options(), prompt).speak(text)

    def stream(self, text: Text, options: Options | None = None, prompt: Prompt | None = None) -> Iterator[Chunk]:
        """One request, in chunks."""
        return self.session(options or self.options(), prompt).stream(text)
