"""Who may speak now: a bounded queue in front of the speech engines, fair between clients. For one event loop."""

import asyncio
import collections
import contextlib
import time
from collections.abc import AsyncIterator

from core.errors import StudioError


class TooMany(StudioError):
    """The queue is full, or holds enough of this client's requests; `retry_after_s` says when to come again."""

    code = "too_many"

    def __init__(self, message: str, retry_after_s: int) -> None:
        super().__init__(message, f"Try again in {retry_after_s} s.")
        self.retry_after_s = retry_after_s


class Gate:
    """At most `limit` requests at once and `queue` waiting, of one client `per_client` in all.

    Clients take turns: one with many requests waiting does not hold up another's first.
    """

    def __init__(self, limit: int, queue: int, per_client: int) -> None:
        self.limit, self.queue, self.per_client = limit, queue, per_client
        self.active = 0
        self._waiting: collections.OrderedDict[str, collections.deque[asyncio.Future[None]]] = collections.OrderedDict()
        self._of_client: collections.Counter[str] = collections.Counter()
        self._mean_s = 2.0

    @property
    def queued(self) -> int:
        """How many wait."""
        return sum(len(line) for line in self._waiting.values())

    @contextlib.asynccontextmanager
    async def turn(self, client: str) -> AsyncIterator[float]:
        """A turn; gives the seconds that were waited. Raises TooMany at once, never after waiting."""
        if self._of_client[client] >= self.per_client:
            raise TooMany(f"This client has {self.per_client} requests under way.", self._retry_after_s())
        if self.active >= self.limit and self.queued >= self.queue:
            raise TooMany(f"{self.queued} requests are waiting already.", self._retry_after_s())
        self._of_client[client] += 1
        asked = time.monotonic()
        try:
            await self._enter(client)
            began = time.monotonic()
            try:
                yield began - asked
            finally:
                self._mean_s += 0.2 * (time.monotonic() - began - self._mean_s)
                self.active -= 1
                self._admit()
        finally:
            self._of_client[client] -= 1
            if not self._of_client[client]:
                del self._of_client[client]

    async def _enter(self, client: str) -> None:
        if self.active < self.limit and not self._waiting:
            self.active += 1
            return
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(client, collections.deque()).append(place)
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():  # admitted in the very moment of giving up
                self.active -= 1
                self._admit()
            else:
                self._leave(client, place)
            raise

    def _leave(self, client: str, place: "asyncio.Future[None]") -> None:
        line = self._waiting.get(client)
        if line is not None and place in line:
            line.remove(place)
            if not line:
                del self._waiting[client]

    def _admit(self) -> None:
        while self._waiting and self.active < self.limit:
            client, line = next(iter(self._waiting.items()))
            place = line.popleft()
            if line:
                self._waiting.move_to_end(client)
            else:
                del self._waiting[client]
            if not place.done():
                self.active += 1
                place.set_result(None)

    def _retry_after_s(self) -> int:
        return max(1, min(60, round(self._mean_s * (self.queued + 1) / self.limit)))
