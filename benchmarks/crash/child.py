"""The training job in a forked process, so that torch is imported once for all trials."""

import ctypes
import json
import logging
import os
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.crash.stage import RUN
from core.engines.sovits import train
from core.engines.sovits.verify import verify_model
from core.errors import StudioError
from core.jobs.context import ForegroundContext
from core.settings import Settings

train.verify_in_fresh_process = verify_model
OPS = ("open", "write", "fsync", "rename", "mkdir", "remove", "copy", "truncate")


@dataclass(frozen=True)
class Ended:
    """How a process ended."""

    signal: int
    code: int
    answer: dict[str, Any]
    """{"result"} or {"error"}, {"writes"} and {"modules"}, or nothing if it was killed."""
    log: str
    seconds: float


def shim() -> ctypes.CDLL:
    """The library that counts writes, as it is loaded in this process."""
    library = ctypes.CDLL(os.environ["TIMBRE_CRASH_SHIM"])
    library.crash_arm.argtypes = [ctypes.c_char_p, ctypes.c_long, ctypes.c_int]
    library.crash_seen.restype = ctypes.c_long
    return library


class Child:
    """A forked process that resumes the run of a workspace."""

    def __init__(self, settings: Settings, out: Path, kill_at: int = 0, torn: bool = False, limit: int = -1) -> None:
        """
        Args:
            settings: of the trial's workspace.
            out: file for the answer, its log beside it; outside the workspace.
            kill_at: the write to die at; 0: none.
            torn: half of that write is done.
            limit: most bytes of a file from the first training step on; -1: any.
        """
        self._out, self._log = out, out.with_suffix(".log")
        self._began = time.monotonic()
        sys.stdout.flush()
        sys.stderr.flush()
        self.pid = os.fork()
        if self.pid == 0:
            os._exit(self._live(settings, kill_at, torn, limit))

    @property
    def said(self) -> str:
        """Its log so far."""
        return self._log.read_text("utf-8", "replace") if self._log.exists() else ""

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Send a signal; no matter if it has ended."""
        os.kill(self.pid, number)

    def lift_limit(self) -> None:
        """Give files their room back."""
        resource.prlimit(self.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

    def ended(self) -> bool:
        """Whether it is over, without reaping it."""
        return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def wait(self) -> Ended:
        """Wait for the end."""
        _, status = os.waitpid(self.pid, 0)
        number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
        code = os.WEXITSTATUS(status) if os.WIFEXITED(status) else -1
        try:
            answer = json.loads(self._out.read_text())
        except (OSError, ValueError):
            answer = {}
        return Ended(number, code, answer, self.said, time.monotonic() - self._began)

    def _live(self, settings: Settings, kill_at: int, torn: bool, limit: int) -> int:
        handle = os.open(self._log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.dup2(handle, 1)
        os.dup2(handle, 2)
        logging.basicConfig(level=logging.INFO, stream=sys.stderr, force=True)
        library = shim()
        context = ForegroundContext(settings, _limiter(limit))
        signal.signal(signal.SIGTERM, lambda *_: context.request_cancel())
        library.crash_arm(os.fsencode(settings.workspace), kill_at, int(torn))
        answer: dict[str, Any] = {}
        code = 0
        try:
            answer["result"] = train.run_train({"resume": RUN}, context)
        except StudioError as err:
            answer["error"], code = err.to_dict(), 3
        # The process boundary: whatever else comes is a defect that the report must show.
        except BaseException:  # noqa: BLE001
            answer["bug"], code = traceback.format_exc(), 4
        answer["writes"] = {"all": library.crash_seen(-1)}
        answer["writes"] |= {name: library.crash_seen(op) for op, name in enumerate(OPS)}
        answer["modules"] = sorted(sys.modules)
        self._out.write_text(json.dumps(answer))
        return code


def _limiter(limit: int) -> Callable[[float, str], None] | None:
    if limit < 0:
        return None

    def watch(fraction: float, message: str) -> None:
        if message.startswith("step 1/"):
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))

    return watch
