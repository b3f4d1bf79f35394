"""Several server processes on one port, for programs that ask much at once. The API alone: the page lives in one.

The first process listens, dispatches jobs and starts the others, again if one dies; these share the listening socket,
the databases, and one queue for speech (`core.service.shared_gate`). Each loads speech models of its own.
"""

import logging
import multiprocessing
import shutil
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.context import SpawnProcess
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import uvicorn

from api.closing import Server
from api.patience import Protocol
from core.errors import StudioError
from core.settings import Settings

if TYPE_CHECKING:
    from fastapi import FastAPI

_LOOK_S = 0.2
_EARLY_S = 10.0
_EARLY_DEATHS = 5
_LATE_S = 5.0
_log = logging.getLogger("api.workers")


@dataclass(frozen=True)
class Place:
    """One process among several. `folder` is what they share; a process that replaces another gets its number."""

    folder: Path
    number: int

    @property
    def queue(self) -> Path:
        """The queue for speech, of all."""
        return self.folder / "speech.sqlite3"

    @property
    def metrics(self) -> Path:
        """This one's counters."""
        return self.folder / f"{self.number}.json"


def config_of(app: "FastAPI") -> uvicorn.Config:
    """How every server of ours runs an application."""
    return uvicorn.Config(
        app,
        http=Protocol,
        log_level="warning",
        access_log=False,
        log_config=None,  # our own log has it
        timeout_graceful_shutdown=3,  # open event streams never end by themselves
        ws_max_size=1 << 20,  # the largest piece of text, and seconds of the live page's sound
        server_header=False,
        lifespan="on",
    )


def serve(
    settings: Settings, hosts: tuple[str, ...], count: int, listener: socket.socket, ended: threading.Event
) -> None:
    """Keep `count` processes answering on `listener` until `ended`, then let them finish.

    Raises:
        StudioError: they die as soon as they are started.
    """
    folder = settings.cache_dir / "server"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    begin = multiprocessing.get_context("spawn").Process
    given = settings.model_dump_json()

    def start(number: int) -> SpawnProcess:
        process = begin(target=work, args=(given, hosts, Place(folder, number), listener), name=f"server {number}")
        process.start()
        return process

    crew = _Crew(start, count)
    try:
        while not ended.wait(_LOOK_S):
            crew.look()
    finally:
        crew.end(settings.drain_s + _LATE_S)


class _Crew:
    """The processes, by their numbers."""

    def __init__(self, start: Callable[[int], SpawnProcess], count: int) -> None:
        self._start, self._early_deaths = start, 0
        self._processes = [start(number) for number in range(count)]
        self._begun = [time.monotonic()] * count

    def look(self) -> None:
        """Replace who died. Raises StudioError."""
        for number, process in enumerate(self._processes):
            if process.is_alive():
                continue
            _log.error("server %d (process %s) ended with %s", number, process.pid, process.exitcode)
            early = time.monotonic() - self._begun[number] < _EARLY_S
            self._early_deaths = self._early_deaths + 1 if early else 0
            if self._early_deaths >= _EARLY_DEATHS:
                raise StudioError(
                    "The server processes end as soon as they are started.", "studio_logs in the workspace says why."
                )
            self._processes[number], self._begun[number] = self._start(number), time.monotonic()

    def end(self, patience_s: float) -> None:
        """Ask all to end (on Windows: end them, it has no way to ask), then force those that do not."""
        for process in self._processes:
            process.terminate()
        deadline = time.monotonic() + patience_s
        for process in self._processes:
            process.join(max(0.0, deadline - time.monotonic()))
            process.kill()
            process.join()


class _WorkerServer(Server):
    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Ctrl-C reaches every process of a terminal; the parent is the one that decides."""
        if sig != signal.SIGINT:
            super().handle_exit(sig, frame)


def work(given: str, hosts: tuple[str, ...], place: Place, listener: socket.socket) -> None:
    """One process: `given` is Settings as JSON. It ends when it is asked to, and when its parent is gone."""
    from api.metrics import METRICS
    from api.server import build_app
    from core import log
    from core.studio import Studio

    settings = Settings.model_validate_json(given)
    log.setup(settings.log_dir, settings.log_level, f"server-{place.number}")
    METRICS.keep(place.metrics)
    studio = Studio(settings)  # not started: the parent dispatches jobs
    app = build_app(studio, with_page=False, allowed_hosts=hosts, place=place)
    server = _WorkerServer(config_of(app), settings.drain_s)
    sys.setswitchinterval(0.0005)  # as in the single server: engines compute in threads beside the event loop

    def follow_parent() -> None:
        parent = multiprocessing.parent_process()
        if parent is not None:
            parent.join()
            server.should_exit = True

    signal.signal(signal.SIGTERM, lambda *_: None)  # uvicorn raises it once more when it has closed
    threading.Thread(target=follow_parent, name="parent", daemon=True).start()
    try:
        server.run(sockets=[listener])
    finally:
        studio.close()
