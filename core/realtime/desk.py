"""Live conversions, behind `Studio.live`: one at a time, since each takes a processor or a GPU for itself. Light."""

import contextlib
import threading
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from core.errors import BadInput, Conflict
from core.realtime.options import parse_options

if TYPE_CHECKING:
    from core.realtime.session import LiveSession
    from core.settings import Settings

_RUNNING = threading.Lock()
_RATES_HZ = (8000, 192000)


class LiveDesk:
    """What the doors call for live conversion."""

    def __init__(self, settings: "Settings") -> None:
        self.settings = settings

    @contextlib.contextmanager
    def open(self, options: Mapping[str, Any], rate_hz: int) -> Iterator["LiveSession"]:
        """A session for sound at `rate_hz`; loading takes seconds. Its memory goes when the block is left.

        Raises Conflict (another one is running), BadInput (options, rate), NotFound, ModelFileError, Unavailable.
        """
        parsed = parse_options(dict(options))
        if not _RATES_HZ[0] <= rate_hz <= _RATES_HZ[1]:
            raise BadInput(f"{rate_hz} Hz is no sample rate of a sound card.", "Use 44100 or 48000.", where="rate_hz")
        if not _RUNNING.acquire(blocking=False):
            raise Conflict("A live conversion is already running.", "Stop it there first.", where="live")
        try:
            from core.realtime.session import LiveSession, open_render

            yield LiveSession(open_render(parsed, self.settings), parsed, rate_hz)
        finally:
            _RUNNING.release()
