"""Clients that send byte by byte, or stop in the middle: the server goes on, and their connections do not stay."""

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Iterator

import httpx
import pytest
import uvicorn
import websockets
from fastapi import FastAPI, Request, WebSocket

from api.bounds import Bounds
from api.patience import HEAD_S, Protocol
from api.workers import config_of

SHORT_S, PATIENCE_S = 0.6, 30.0


class Hasty(Protocol):
    head_s = SHORT_S


@pytest.fixture(scope="module")
def place() -> Iterator[tuple[str, int]]:
    app = FastAPI()

    @app.get("/health")
    async def health() -> str:
        return "well"

    @app.post("/api/take")
    async def take(request: Request) -> int:
        return len(await request.body())

    @app.get("/api/slow")
    async def slow() -> str:
        await asyncio.sleep(3 * SHORT_S)
        return "done"

    @app.websocket("/ws")
    async def echo(socket: WebSocket) -> None:
        await socket.accept()
        while True:
            await socket.send_text(await socket.receive_text())

    app.add_middleware(Bounds, file_bytes=1 << 20, idle_s=SHORT_S)
    config = config_of(app)
    assert config.http is Protocol, "every server of ours is patient in this way"
    assert HEAD_S < 60
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, http=Hasty, log_config=None))
    thread = threading.Thread(target=lambda: server.run(sockets=[listener]), daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    yield listener.getsockname()
    server.should_exit = True
    thread.join(PATIENCE_S)


def closed(one: socket.socket) -> bool:
    """Whether the server has ended a connection; whatever it said before is read."""
    one.settimeout(PATIENCE_S)
    with contextlib.suppress(ConnectionError):
        while one.recv(1 << 16):
            pass
    return True


def test_byte_by_byte_heads_hold_nothing(place: tuple[str, int]) -> None:
    slow = [socket.create_connection(place) for _ in range(100)]
    with httpx.Client(base_url=f"http://{place[0]}:{place[1]}", timeout=PATIENCE_S) as client:
        for letter in b"GET /health HTTP/1.1\r\n":
            for one in slow:
                with contextlib.suppress(OSError):
                    one.send(bytes([letter]))
            assert client.get("/health").json() == "well"
            time.sleep(SHORT_S / 10)
    assert all(closed(one) for one in slow)


def test_a_second_head_is_not_awaited_for_ever_either(place: tuple[str, int]) -> None:
    with socket.create_connection(place) as one:
        one.send(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"well" in one.recv(1000)
        one.send(b"GET /hea")
        assert closed(one)


def test_what_takes_long_to_answer_is_not_cut(place: tuple[str, int]) -> None:
    assert httpx.get(f"http://{place[0]}:{place[1]}/api/slow", timeout=PATIENCE_S).json() == "done"


def test_a_socket_may_be_silent(place: tuple[str, int]) -> None:
    async def talk() -> str:
        async with websockets.connect(f"ws://{place[0]}:{place[1]}/ws") as open_socket:
            await asyncio.sleep(2 * SHORT_S)
            await open_socket.send("still here")
            return str(await open_socket.recv())

    assert asyncio.run(talk()) == "still here"


def test_a_body_may_be_slow_but_not_stop(place: tuple[str, int]) -> None:
    head = b"POST /api/take HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n"
    with socket.create_connection(place) as slow, socket.create_connection(place) as stopped:
        slow.send(head)
        stopped.send(head + b"abc")
        for _ in range(10):
            slow.send(b"x")
            time.sleep(SHORT_S / 6)
        assert slow.recv(1000).endswith(b"10")
        assert stopped.recv(1000).startswith(b"HTTP/1.1 408")
