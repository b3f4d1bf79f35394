"""Many clips measured side by side, in processes: most of the work holds Python's lock."""

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import StudioError
from core.quality.figures import ClipFigures, measure_clip
from core.quality.speakers import Embedder

if TYPE_CHECKING:
    from core.jobs.context import JobContext

_WORTH_PROCESSES = 48  # starting one takes as long as measuring ten clips or more
_POLL_S = 0.3
_WAITING_PER_WORKER = 4


def measured(
    paths: Mapping[str, Path], embedder: Embedder, ctx: "JobContext", workers: int = 0
) -> Iterator[tuple[str, ClipFigures | str]]:
    """(key, figures, or the sentence that says why there are none) of every clip, as they are done.

    `workers`: processes; 0 takes one a core for many clips, 1 measures here. Raises Cancelled within a clip's time.
    """
    wanted = workers or (_cores(ctx.settings.threads) if len(paths) >= _WORTH_PROCESSES else 1)
    if min(wanted, len(paths)) <= 1:
        for key, path in paths.items():
            ctx.check()
            yield key, _measure(path, embedder)
        return
    # "spawn" on every system: forked children would inherit this process's threads and locks.
    pool = ProcessPoolExecutor(wanted, multiprocessing.get_context("spawn"), initializer=_start_worker)
    try:
        yield from _all(pool, paths, embedder, ctx, wanted * _WAITING_PER_WORKER)
    except BrokenProcessPool as err:
        raise StudioError(
            "A process that measures clips was ended from outside, perhaps for want of memory.",
            "Close other programs and run it again: what was measured so far is kept.",
        ) from err
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _all(
    pool: ProcessPoolExecutor, paths: Mapping[str, Path], embedder: Embedder, ctx: "JobContext", most_waiting: int
) -> Iterator[tuple[str, ClipFigures | str]]:
    """Few clips are handed over at a time, so that a cancel does not wait for a long queue."""
    todo = iter(paths.items())
    waiting: dict[Future[ClipFigures | str], str] = {}
    while True:
        while len(waiting) < most_waiting and (item := next(todo, None)) is not None:
            waiting[pool.submit(_measure, item[1], embedder)] = item[0]
        if not waiting:
            return
        done, _ = wait(waiting, timeout=_POLL_S, return_when=FIRST_COMPLETED)
        ctx.check()
        for future in done:
            yield waiting.pop(future), future.result()


def _measure(path: Path, embedder: Embedder) -> ClipFigures | str:
    try:
        return measure_clip(path, embedder)
    except StudioError as err:
        return str(err)
    except OSError as err:
        return f"{path.name} cannot be read: {err.strerror or err}."


def _start_worker() -> None:
    # Ctrl-C reaches the whole group; the parent alone answers it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _cores(threads: int) -> int:
    affinity: Callable[[int], set[int]] | None = getattr(os, "sched_getaffinity", None)  # not on Windows and macOS
    return threads or (len(affinity(0)) if affinity else os.cpu_count() or 1)
