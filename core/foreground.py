"""A job in this very process: the command line without a running studio, and tests."""

import contextlib
import logging
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from types import FrameType
from typing import Any

from core.errors import StudioError
from core.jobs import handlers
from core.jobs.context import ForegroundContext
from core.jobs.failures import describe
from core.jobs.handlers import Handler
from core.jobs.worker import outcome
from core.settings import Settings

_log = logging.getLogger(__name__)


def run_foreground(
    settings: Settings,
    kinds: Mapping[str, Handler],
    kind: str,
    params: dict[str, Any],
    on_progress: Callable[[float, str], None] | None = None,
) -> dict[str, Any]:
    """Run a job's handler here and return its result (strict JSON).

    The first Ctrl-C (or SIGTERM) asks it to stop and save, a second one breaks it off. Raises what the
    handler raises of the StudioError family (Cancelled after a stop that has no result); any other
    exception becomes one clean StudioError, with its traceback in the log.
    """
    target = handlers.find(kinds, kind).target
    context = ForegroundContext(settings, on_progress)
    try:
        with _stoppable(context):
            return outcome(handlers.resolve(target)(params, context), context.cancel_requested)[1]
    except StudioError:
        raise
    # The door's boundary: the command line shows one sentence, whatever happened inside.
    except Exception as err:
        _log.exception("%s failed", kind)
        error = describe(err, settings.log_dir / "studio.log", settings.workspace)
        raise error from err


@contextlib.contextmanager
def _stoppable(context: ForegroundContext) -> Iterator[None]:
    """Signals ask the context to stop; only the main thread may say so to Python."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def ask(number: int, frame: FrameType | None) -> None:
        if context.cancel_requested:
            raise KeyboardInterrupt
        context.request_cancel()

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
