"""Speech as a response: a turn at the gate, the first chunk before the headers, the rest as it is made."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from fastapi import Request, Response
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from api.access import BEGAN
from api.closing import UNDER_WAY
from api.metrics import METRICS
from core.errors import Cancelled, StudioError
from core.service.formats import MEDIA, encoder, rate_for
from core.service.gate import Gate
from core.service.shared_gate import SharedGate
from core.service.speech import Speaking, SpeechService
from core.speech.request import SpeechRequest

if TYPE_CHECKING:
    from core.settings import Settings
    from core.studio import Studio

Result = TypeVar("Result")


class TooLate(StudioError):
    """A request's deadline passed."""

    code = "too_late"


@dataclass
class Desk:
    """What all speech routes of one application share."""

    settings: "Settings"
    service: SpeechService
    gate: Gate | SharedGate

    @classmethod
    def of(cls, studio: "Studio", shared_queue: Path | None = None) -> "Desk":
        """A new one. `shared_queue`: the file of a queue that several server processes share."""
        settings, speech = studio.settings, studio.speech
        if shared_queue is None:
            return cls(settings, speech.service, speech.gate)
        bounds = settings.max_speech, settings.max_speech_queue, settings.max_speech_per_client
        return cls(settings, speech.service, SharedGate(shared_queue, *bounds))


@dataclass
class Wanted:
    """How the sound goes out. `sample_rate` 0: the engine's own. `timeout_s` None: the studio's limit."""

    fmt: str = "stream"
    sample_rate: int = 44100
    timeout_s: float | None = None
    started: float = field(default_factory=time.monotonic)


def client_of(request: Any) -> str:
    """Who asks: the address; requests and sockets have it alike."""
    return request.client.host if request.client else "unknown"


async def watched(request: Request, work: Awaitable[Result]) -> Result:
    """The result of `work`, which is cancelled when the client goes away (then Cancelled is raised)."""

    async def gone() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass

    task, watch = asyncio.ensure_future(work), asyncio.ensure_future(gone())
    try:
        await asyncio.wait({task, watch}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            METRICS.add("timbre_speech_disconnects_total")
            raise Cancelled("The client went away.")
        return task.result()
    finally:
        for one in (task, watch):
            if not one.done():
                one.cancel()
                with contextlib.suppress(asyncio.CancelledError, StudioError):
                    await one


class Speech:
    """One request from the gate to the last chunk. Use `begin`, then `sound`; `end` in any case, also twice."""

    def __init__(self, desk: Desk, client: str, said: SpeechRequest, wanted: Wanted, text: Any = None) -> None:
        self._desk, self._client, self._said, self.wanted, self._text = desk, client, said, wanted, text
        self._stack = contextlib.AsyncExitStack()
        self._chunks: AsyncIterator[Any] | None = None
        self._first: Any = None
        self.speaking: Speaking | None = None
        self.rate_hz = 0
        self.waited_s = self.first_s = 0.0
        self.n_samples = 0
        limit = desk.settings.speech_deadline_s
        self.deadline = wanted.started + min(limit, wanted.timeout_s or limit)

    async def begin(self) -> None:
        """Wait for a turn and for the first chunk. Raises TooMany, TooLate, Closing, and what the engine raises."""
        METRICS.add("timbre_speech_requests_total")
        try:
            async with asyncio.timeout(max(0.001, self.deadline - time.monotonic())):
                self._stack.enter_context(UNDER_WAY.one())
                self.waited_s = await self._stack.enter_async_context(self._desk.gate.turn(self._client))
                self.speaking = Speaking(self._desk.service, self._said, self._text, merge=self.wanted.fmt != "wav")
                self._stack.callback(self.speaking.close)
                self._chunks = aiter(self.speaking)
                self._first = await anext(self._chunks)
        except TimeoutError as err:
            await self.end()
            raise TooLate("The deadline passed before there was any sound.", "Try again when less goes on.") from err
        except BaseException:
            await self.end()
            raise
        self.first_s = time.monotonic() - self.wanted.started
        METRICS.observe("timbre_speech_first_chunk_seconds", self.first_s)
        self.rate_hz = rate_for(self.wanted.fmt, self.wanted.sample_rate or self._first.sample_rate_hz)

    async def sound(self) -> AsyncIterator[bytes]:
        """The encoded stream. Raises TooLate, and what the engine raises."""
        from core.audio.resample import StreamResampler

        assert self._chunks is not None
        resampler = StreamResampler(self._first.sample_rate_hz, self.rate_hz)
        out = encoder(self.wanted.fmt, self.rate_hz)
        chunk = self._first
        while True:
            audio = resampler.push(chunk.audio)
            self.n_samples += audio.size
            if data := out.feed(audio):
                yield data
            try:
                async with asyncio.timeout(max(0.001, self.deadline - time.monotonic())):
                    chunk = await anext(self._chunks)
            except StopAsyncIteration:
                break
            except TimeoutError as err:
                raise TooLate("The deadline passed while the text was spoken.", "Send less at once.") from err
        rest = resampler.finish()
        self.n_samples += rest.size
        if data := out.feed(rest) + out.finish():
            yield data
        METRICS.add("timbre_speech_audio_seconds_total", self.n_samples / self.rate_hz)

    async def end(self) -> None:
        """Stop the engine and leave the gate."""
        await self._stack.aclose()

    def headers(self) -> dict[str, str]:
        """What is known before the rest is made."""
        assert self.speaking is not None
        engine_s = self.speaking.engine_s
        spent = {"queue": self.waited_s, "engine": engine_s, "first": self.first_s}
        spent["overhead"] = max(0.0, self.first_s - self.waited_s - engine_s)
        return {
            "X-Sample-Rate": str(self.rate_hz),
            "X-Channels": "1",
            "X-Seed": str(self.speaking.seed),
            "X-First-Chunk-Ms": f"{1000 * self.first_s:.1f}",
            "Server-Timing": ", ".join(f"{name};dur={1000 * value:.1f}" for name, value in spent.items()),
            "Cache-Control": "no-store",
            "X-Accel-Buffering": "no",
        }


class SpeechResponse(StreamingResponse):
    """The stream; whatever ends it, the engine stops and the turn is given back."""

    def __init__(self, speech: Speech, events: AsyncIterator[str] | None = None) -> None:
        """`events`: the sound in another dress, as server-sent events."""
        media = "text/event-stream" if events is not None else MEDIA[speech.wanted.fmt]
        super().__init__(events or speech.sound(), headers=speech.headers(), media_type=media)
        self._speech = speech

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            # Shielded: a client that went away cancels this very task.
            await asyncio.shield(self._speech.end())


async def stream(desk: Desk, request: Request, said: SpeechRequest, wanted: Wanted) -> Response:
    """The answer of a streaming route."""
    wanted.started = request.scope.get(BEGAN, wanted.started)
    speech = Speech(desk, client_of(request), said, wanted)
    await watched(request, speech.begin())
    return SpeechResponse(speech)


async def whole(desk: Desk, request: Request, said: SpeechRequest, wanted: Wanted) -> Response:
    """The answer of a one-shot route: the whole file, with its length and figures in the headers."""
    wanted.started = request.scope.get(BEGAN, wanted.started)
    speech = Speech(desk, client_of(request), replace(said, live=False), wanted)

    async def all_of_it() -> bytes:
        await speech.begin()
        return b"".join([data async for data in speech.sound()])

    try:
        body = await watched(request, all_of_it())
    finally:
        await speech.end()
    if wanted.fmt == "stream":
        from core.service.formats import wav_head

        samples = body[44:]
        body = wav_head(speech.rate_hz, len(samples)) + samples
    spent_s = time.monotonic() - wanted.started
    seconds = speech.n_samples / speech.rate_hz
    figures = {"X-Duration-S": f"{seconds:.3f}", "X-Rtf": f"{spent_s / max(seconds, 1e-9):.4f}"}
    return Response(body, headers={**speech.headers(), **figures}, media_type=MEDIA[wanted.fmt])
