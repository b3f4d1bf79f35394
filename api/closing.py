"""The server process: it closes without cutting anyone off, and does not pause to look for garbage in what stays."""

import contextlib
import gc
import socket
import threading
import time
from collections.abc import Iterator
from types import FrameType

import uvicorn

from core.errors import StudioError

CLOSING = threading.Event()
"""Set once this process has been asked to end."""
_LOOK_S = 0.05


class Closing(StudioError):
    """The server is about to end; another one, or the next, will answer."""

    code = "closing"
    retry_after_s = 5


class _UnderWay:
    """How many requests this process must not cut off."""

    def __init__(self) -> None:
        self._lock, self._count = threading.Lock(), 0

    @property
    def count(self) -> int:
        return self._count

    @contextlib.contextmanager
    def one(self) -> Iterator[None]:
        """While the body runs, one more. Raises Closing, so that closing comes to an end."""
        if CLOSING.is_set():
            raise Closing("The studio is closing; it finishes what it has begun.", "Try again in a moment.")
        with self._lock:
            self._count += 1
        try:
            yield
        finally:
            with self._lock:
                self._count -= 1


UNDER_WAY = _UnderWay()


class Server(uvicorn.Server):
    """Asked to end (SIGINT, SIGTERM) it lets requests under way end, up to `patience_s`; asked again it ends now."""

    settle_after_s: tuple[float, ...] = (5.0, 60.0)
    """Seconds, one after another, until what was loaded is set apart: by then the page, and what first requests load.
    """

    def __init__(self, config: uvicorn.Config, patience_s: float) -> None:
        super().__init__(config)
        self._patience_s = patience_s

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """uvicorn's beginning."""
        await super().startup(sockets)
        threading.Thread(target=self._settle, name="settle", daemon=True).start()

    def _settle(self) -> None:
        # Gradio and the page are 230,000 objects: looking through them all stops every stream for a quarter of a
        # second, time and again. They stay, so they need no looking at. Only twice: what is set apart and later becomes
        # garbage in circles is never found.
        for wait_s in self.settle_after_s:
            time.sleep(wait_s)
            gc.collect()
            gc.freeze()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """uvicorn's handler of the signals."""
        again = CLOSING.is_set()
        CLOSING.set()
        if again or not UNDER_WAY.count:
            super().handle_exit(sig, frame)
            return
        threading.Thread(target=self._drain, name="drain", daemon=True).start()

    def _drain(self) -> None:
        deadline = time.monotonic() + self._patience_s
        while UNDER_WAY.count and time.monotonic() < deadline:
            time.sleep(_LOOK_S)
        self.should_exit = True
