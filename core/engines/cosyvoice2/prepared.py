"""Prompts that the flow has solved already: a speaker's clip is solved once, not for every sentence and request.

On a CPU that is a third of the wait for the first sound, on a GPU ten of its solver's hundred milliseconds. What is
kept is large (at the released size about 5 MB a frame, 700 MB for a clip of three seconds), so it is bounded.
"""

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

from core.engines.cosyvoice2.flow import Flow, FlowStream, Prompt

if TYPE_CHECKING:
    from core.engines.cosyvoice2.speaker import Speaker

BUDGET_BYTES = 2 << 30


class PreparedPrompts:
    """The last used ones, up to `budget_bytes` together. Safe from several threads; what it gives is the caller's."""

    def __init__(self, flow: Flow, budget_bytes: int = BUDGET_BYTES) -> None:
        self._flow, self._budget = flow, budget_bytes
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[bytes, int, int | None], FlowStream] = OrderedDict()

    def stream(self, speaker: "Speaker", *, skip: int, left_frames: int | None) -> FlowStream:
        """A new stream that continues the speaker's clip: see `Flow.stream`."""
        key = (speaker.digest, skip, left_frames)
        with self._lock:
            found = self._kept.get(key)
            if found is not None:
                self._kept.move_to_end(key)
        if found is not None:
            return found.clone()
        prompt = Prompt(speaker.tokens, speaker.mel, speaker.embedding)
        made = self._flow.stream(prompt, skip=skip, left_frames=left_frames)
        if made.size_bytes() > self._budget:
            return made
        with self._lock:
            self._kept[key] = made
            while sum(stream.size_bytes() for stream in self._kept.values()) > self._budget:
                self._kept.popitem(last=False)
        return made.clone()

    @property
    def memory_bytes(self) -> int:
        """What they hold together."""
        with self._lock:
            return sum(stream.size_bytes() for stream in self._kept.values())
