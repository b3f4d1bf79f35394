"""Loaded models, kept while there is room and use for them."""

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from core.speech.engine import Engine

_log = logging.getLogger(__name__)
IDLE_S = 600.0


@dataclass
class _Slot:
    """One model: loading, loaded, in use or idle."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    engine: Engine[Any, Any] | None = None
    users: int = 0
    used_s: float = 0.0


class ModelPool:
    """Models by key. What nobody uses goes when others need the room, and after `idle_s` without use.

    `budget_bytes`: idle models are unloaded, the longest unused first, until all together fit; one that is in use is
    never unloaded, so a single model may exceed it. `now` gives seconds on a clock that never goes back.
    """

    def __init__(self, budget_bytes: int, idle_s: float = IDLE_S, now: Callable[[], float] = time.monotonic) -> None:
        self.budget_bytes, self.idle_s, self._now = budget_bytes, idle_s, now
        self._slots: dict[object, _Slot] = {}
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None

    @contextlib.contextmanager
    def use(self, key: object, load: Callable[[], Engine[Any, Any]]) -> Iterator[Any]:
        """The model of `key`, loaded with `load` if it is not there. It stays loaded at least until the block ends.

        Two threads that want the same model load it once. Raises what `load` raises; nothing is kept then.
        """
        with self._lock:
            slot = self._slots.setdefault(key, _Slot())
            slot.users += 1
        try:
            with slot.lock:
                if slot.engine is None:
                    self._make_room()
                    slot.engine = load()
            self._make_room()
            yield slot.engine
        finally:
            with self._lock:
                slot.users -= 1
                slot.used_s = self._now()
                if slot.engine is None and not slot.users:
                    self._slots.pop(key, None)
            self._make_room()
            self._schedule()

    def loaded(self) -> dict[object, int]:
        """Bytes that each loaded model holds."""
        with self._lock:
            return {key: slot.engine.memory_bytes for key, slot in self._slots.items() if slot.engine is not None}

    def sweep(self) -> list[object]:
        """Unload what was not used for `idle_s`; returns the keys."""
        with self._lock:
            old = [k for k, slot in self._idle() if self._now() - slot.used_s >= self.idle_s]
            return [self._unload(key) for key in old]

    def clear(self) -> None:
        """Unload everything that is not in use."""
        with self._lock:
            for key, _ in self._idle():
                self._unload(key)

    def _idle(self) -> list[tuple[object, _Slot]]:
        idle = [(k, s) for k, s in self._slots.items() if s.engine is not None and not s.users]
        return sorted(idle, key=lambda item: item[1].used_s)

    def _make_room(self) -> None:
        with self._lock:
            held = sum(slot.engine.memory_bytes for slot in self._slots.values() if slot.engine is not None)
            for key, slot in self._idle():
                if held <= self.budget_bytes:
                    return
                held -= slot.engine.memory_bytes if slot.engine is not None else 0
                self._unload(key)

    def _unload(self, key: object) -> object:
        engine = self._slots.pop(key).engine
        if engine is not None:
            engine.unload()
            _log.info("unloaded %s", key)
        return key

    def _schedule(self) -> None:
        """Look again when the model that was just left may have become idle for long."""
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = threading.Timer(self.idle_s + 1.0, self.sweep)
            self._timer.daemon = True
            self._timer.start()
