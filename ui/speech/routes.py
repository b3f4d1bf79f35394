"""The sound of the Speech page, made while it plays: 16-bit mono samples, and a take that is kept of them.

The page's action checks a request and leaves it here under a ticket; its script then fetches the ticket's sound.
Errors of the studio's family become HTTP by the handler of the application that these routes are added to.
"""

import asyncio
import contextlib
import secrets
from collections import OrderedDict
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from core.errors import NotFound
from core.speech.request import SpeechRequest

if TYPE_CHECKING:
    from core.service.speech import Speaking
    from core.speech.takes import Recorder, State, Take
    from core.studio import Studio

_KEPT = 256
MEDIA = "audio/l16"


@dataclass(frozen=True)
class Order:
    """What a ticket stands for. `mends`: (take, sentence) that is spoken again."""

    request: SpeechRequest
    mends: "tuple[Take, int] | None" = None


class Tickets:
    """Orders that wait to be fetched, each once; the oldest go when there are too many."""

    def __init__(self) -> None:
        self._orders: OrderedDict[str, Order] = OrderedDict()

    def leave(self, order: Order) -> str:
        """Returns the ticket."""
        ticket = secrets.token_urlsafe(12)
        self._orders[ticket] = order
        while len(self._orders) > _KEPT:
            self._orders.popitem(last=False)
        return ticket

    def take(self, ticket: str) -> Order:
        """Raises NotFound."""
        try:
            return self._orders.pop(ticket)
        except KeyError as err:
            raise NotFound("This was spoken already.", "Press Speak again.", where="ticket") from err


class _Sound(StreamingResponse):
    """The stream; whatever ends it, the take is kept as far as it came and the turn is given back."""

    def __init__(self, telling: "_Telling", headers: dict[str, str]) -> None:
        super().__init__(telling.sound(), headers=headers, media_type=MEDIA)
        self._telling = telling

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            await asyncio.shield(self._telling.end())  # a client that went away cancels this very task


class _Telling:
    """One order from the gate to the kept take."""

    def __init__(self, studio: "Studio", order: Order, client: str) -> None:
        self._desk, self._order, self._client = studio.speech, order, client
        self._stack = contextlib.AsyncExitStack()
        self._recorder: Recorder | None = None
        self._speaking: Speaking | None = None
        self._chunks: AsyncIterator[Any] | None = None
        self._first: Any = None
        self._whole = False

    async def begin(self) -> dict[str, str]:
        """Wait for a turn and the first sound; returns the headers. Raises TooMany, and what the engine raises."""
        from core.service.speech import Speaking

        store, mends = self._desk.takes, self._order.mends
        try:
            await self._stack.enter_async_context(self._desk.gate.turn(self._client))
            if mends is None:
                begun = store.begin(self._order.request)
            else:
                begun = store.begin_again(*mends, self._order.request.options["seed"])
            self._recorder = self._stack.enter_context(begun)
            self._speaking = Speaking(self._desk.service, begun.request)
            self._stack.callback(self._speaking.close)
            self._chunks = aiter(self._speaking)
            self._first = await anext(self._chunks)
        except BaseException:
            await self._stack.aclose()
            raise
        return {"X-Sample-Rate": str(self._first.sample_rate_hz), "X-Take": self._recorder.id,
                "X-Seed": str(self._speaking.seed), "Cache-Control": "no-store"}  # fmt: skip

    async def sound(self) -> AsyncIterator[bytes]:
        """Samples as they are made."""
        assert self._recorder is not None
        assert self._chunks is not None
        yield self._recorder.feed(self._first)
        async for chunk in self._chunks:
            yield self._recorder.feed(chunk)
        self._whole = True

    async def end(self) -> None:
        """Keep what was said, and leave the gate."""
        try:
            if self._recorder is not None and self._recorder.n_samples and (self._whole or self._order.mends is None):
                assert self._speaking is not None
                self._speaking.close()
                finish = self._recorder.finish
                state: State = "whole" if self._whole else "stopped"
                await asyncio.to_thread(finish, self._speaking.seed or 0, self._speaking.warnings, state)
        finally:
            await self._stack.aclose()


def router(studio: "Studio", tickets: Tickets) -> APIRouter:
    """The routes over ``studio``."""
    routes = APIRouter(prefix="/ui-data/speech", include_in_schema=False)

    @routes.get("/{ticket}")
    async def sound(ticket: str, request: Request) -> StreamingResponse:
        """The sound that a ticket stands for."""
        telling = _Telling(studio, tickets.take(ticket), request.client.host if request.client else "page")
        return _Sound(telling, await telling.begin())

    return routes
