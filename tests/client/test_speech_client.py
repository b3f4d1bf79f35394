"""The client against servers that break off, and that have too much to do."""

import json
import socket
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "client"))
from timbre_client import ServiceError, SpeechClient

PATIENCE_S = 30.0


def event(number: int, kind: str) -> str:
    return f"id: 7-{number}\nevent: {kind}\ndata: {json.dumps({'progress': number})}\n\n"


@pytest.fixture
def url() -> Iterator[str]:
    """A server that breaks off in the middle of a job's events, and takes no texts."""
    asked: list[str] = []

    async def events(request: Request) -> Response:
        asked.append(request.headers.get("last-event-id", ""))

        async def told() -> AsyncIterator[str]:
            if len(asked) == 1:
                yield event(1, "progress")
                yield event(2, "progress")
                raise RuntimeError("the connection breaks")
            assert asked[-1] == "7-2"
            yield event(3, "progress")
            yield event(4, "end")

        return StreamingResponse(told(), media_type="text/event-stream")

    async def full(_request: Request) -> Response:
        return JSONResponse({"error": {"message": "64 wait."}}, 429, {"Retry-After": "3"})

    routes = [Route("/api/jobs/7/events", events), Route("/api/tts", full, methods=["POST"])]
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(Starlette(routes=routes), log_config=None))
    thread = threading.Thread(target=lambda: server.run(sockets=[listener]), daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    thread.join(PATIENCE_S)


def test_events_are_taken_up_where_they_broke_off(url: str) -> None:
    with SpeechClient(url) as client:
        assert [row["progress"] for row in client.job_events(7)] == [1, 2, 3, 4]


def test_too_much_says_when_to_come_again(url: str, tmp_path: Path) -> None:
    with SpeechClient(url) as client, pytest.raises(ServiceError) as refused:
        client.speak("Hello.", tmp_path / "x.wav")
    assert (refused.value.status, refused.value.retry_after_s) == (429, 3.0)
    assert "64 wait." in str(refused.value)
    assert not (tmp_path / "x.wav").exists()
