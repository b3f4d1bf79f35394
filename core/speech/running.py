"""The sessions of one engine that are speaking now."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from core.errors import Conflict

if TYPE_CHECKING:
    from core.speech.engine import Session


class RunningSessions:
    """Counts them, so that a model is not taken from under one. Safe from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sessions: set[Session] = set()

    def __len__(self) -> int:
        return len(self._sessions)

    @property
    def memory_bytes(self) -> int:
        """What they remember together."""
        with self._lock:
            return sum(session.memory_bytes for session in self._sessions)

    @contextlib.contextmanager
    def counting(self, session: "Session") -> Iterator[None]:
        """Count a session while it speaks."""
        with self._lock:
            self._sessions.add(session)
        try:
            yield
        finally:
            with self._lock:
                self._sessions.discard(session)

    def release(self, free: Callable[[], None]) -> None:
        """Call `free` while none speaks and none can begin. Raises Conflict if one does."""
        with self._lock:
            if self._sessions:
                raise Conflict("The model is speaking.", "Wait for it or cancel it, then unload it.")
            free()
