"""The server process: what it has loaded is not searched for garbage again and again."""

import gc
import socket
import threading
import time

import httpx
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from api.closing import Server
from api.workers import config_of

PATIENCE_S = 30.0


class Hasty(Server):
    settle_after_s = (0.0, 0.1)


class Ring:
    """Garbage that only the collector finds."""

    alive = 0

    def __init__(self) -> None:
        self.me = self
        Ring.alive += 1

    def __del__(self) -> None:
        Ring.alive -= 1


def test_what_stays_is_set_apart_and_garbage_is_still_found() -> None:
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))

    async def rings(_request: object) -> PlainTextResponse:
        for _ in range(100):
            Ring()
        return PlainTextResponse("made")

    server = Hasty(config_of(Starlette(routes=[Route("/", rings)])), 1.0)  # type: ignore[arg-type]
    before = gc.get_freeze_count()
    thread = threading.Thread(target=lambda: server.run(sockets=[listener]), daemon=True)
    thread.start()
    try:
        deadline = time.monotonic() + PATIENCE_S
        while any(one.name == "settle" for one in threading.enumerate()) or not server.started:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert gc.get_freeze_count() > before + 10_000
        assert httpx.get(f"http://127.0.0.1:{listener.getsockname()[1]}/").text == "made"
        gc.collect()
        assert Ring.alive == 0
    finally:
        gc.unfreeze()
        server.should_exit = True
        thread.join(PATIENCE_S)
