"""Who is that process? Identity by number and start time, and the whole tree of a job's processes."""

import contextlib
import os
import time
from collections.abc import Iterable
from pathlib import Path

import psutil

MARK = "TIMBRE_LAUNCH_JOB"
"""Environment variable that a worker and all it starts carry, so that no child escapes by leaving its parent."""

_SAME_START_S = 1.0


def mark_of(database: Path, job_id: int) -> str:
    """The value of `MARK` for one job of one workspace."""
    return f"{database}#{job_id}"


def started_at(pid: int) -> float | None:
    """When a process started, in seconds of a clock that does not jump; None if it is gone or only a zombie.

    Linux: since boot, from /proc, because the wall clock may be set while a worker runs. Elsewhere the
    system keeps unix seconds.
    """
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        if psutil.LINUX:
            # The name in parentheses may hold anything, so count the fields from its end (proc(5), field 22).
            fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
            return int(fields[19]) / float(os.sysconf("SC_CLK_TCK"))
        return float(process.create_time())
    except (psutil.Error, OSError, ValueError, IndexError):
        return None


def identity() -> tuple[int, float]:
    """(pid, start) of this process."""
    return os.getpid(), started_at(os.getpid()) or 0.0


def is_alive(pid: int | None, pid_started: float | None, mark: str | None = None) -> bool:
    """Whether the very process of `identity()` still runs; a later one with the same number does not count.

    With `mark`, it must also carry that mark where its environment can be read: after a restart of the
    machine, number and start since boot could both come again.
    """
    if pid is None or pid_started is None:
        return False
    now = started_at(pid)
    if now is None or abs(now - pid_started) >= _SAME_START_S:
        return False
    with contextlib.suppress(psutil.AccessDenied):
        try:
            return mark is None or psutil.Process(pid).environ().get(MARK) == mark
        except (psutil.NoSuchProcess, OSError):
            return False
    return True


def tree(pid: int | None, mark: str) -> list[psutil.Process]:
    """The processes of a job: those below `pid` and those that carry its mark. Never this process itself."""
    found: dict[int, psutil.Process] = {}
    if pid is not None:
        with contextlib.suppress(psutil.Error):
            root = psutil.Process(pid)
            if root.environ().get(MARK) == mark:
                found = {process.pid: process for process in [root, *root.children(recursive=True)]}
    for process in psutil.process_iter():
        # Processes of other users and of the kernel do not show their environment; a job has none of those.
        with contextlib.suppress(psutil.Error, OSError):
            if process.pid not in found and process.environ().get(MARK) == mark:
                found[process.pid] = process
    found.pop(os.getpid(), None)
    return list(found.values())


def _running(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def end(processes: Iterable[psutil.Process], patience_s: float = 1.0) -> list[psutil.Process]:
    """Ask the processes to end, then force those that remain after `patience_s`; return the ones still there.

    psutil compares start times before each signal, so a reused number is never hit.
    """
    rest = [process for process in processes if _running(process)]
    for force in (False, True):
        for process in rest:
            with contextlib.suppress(psutil.Error):
                if force:
                    process.kill()
                else:
                    process.terminate()
        deadline = time.monotonic() + patience_s
        while rest and time.monotonic() < deadline:
            rest = [process for process in rest if _running(process)]
            if rest:
                time.sleep(0.02)
        rest = [process for process in rest if _running(process)]
    return rest
