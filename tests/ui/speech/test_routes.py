"""The sound behind a ticket: what a listener gets is what is kept, once; what stops it leaves what was heard."""

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import soundfile
import uvicorn
from fastapi import FastAPI
from fastapi.testclient import TestClient

from api import errors
from core.errors import NotFound
from core.settings import Settings
from core.speech.request import SpeechRequest
from core.studio import Studio
from ui.speech.routes import MEDIA, Order, Tickets, router

LONG = "One after another the boats come back. " * 300
PATIENCE_S = 60.0


@pytest.fixture
def studio(workspace: Path) -> Iterator[Studio]:
    made = Studio(Settings(workspace=workspace))
    yield made
    made.close()


@pytest.fixture
def tickets() -> Tickets:
    return Tickets()


@pytest.fixture
def app(studio: Studio, tickets: Tickets) -> FastAPI:
    made = FastAPI()
    errors.install(made)
    made.include_router(router(studio, tickets))
    return made


def order(studio: Studio, text: str) -> Order:
    return Order(studio.speech.checked(SpeechRequest(text=text, engine="builtin", options={"seed": 5})))


def test_what_is_heard_is_kept(studio: Studio, tickets: Tickets, app: FastAPI) -> None:
    with TestClient(app) as client:
        answer = client.get("/ui-data/speech/" + tickets.leave(order(studio, "The harbour wakes before the sun.")))
    assert answer.status_code == 200
    assert answer.headers["content-type"] == MEDIA
    assert answer.headers["x-seed"] == "5"
    (take,) = studio.speech.takes.all()
    assert take.id == answer.headers["x-take"]
    assert (take.state, take.seed) == ("whole", 5)
    kept, rate_hz = soundfile.read(studio.speech.takes.sound(take), dtype="int16")
    assert kept.astype("<i2").tobytes() == answer.content
    assert rate_hz == int(answer.headers["x-sample-rate"])


def test_a_sentence_again_is_heard_alone_and_kept_in_its_place(studio: Studio, tickets: Tickets, app: FastAPI) -> None:
    with TestClient(app) as client:
        text = "The harbour wakes before the sun. Boats slip out past the wall."
        client.get("/ui-data/speech/" + tickets.leave(order(studio, text)))
        (old,) = studio.speech.takes.all()
        fresh = studio.speech.checked(studio.speech.takes.request(old, 77))
        heard = client.get("/ui-data/speech/" + tickets.leave(Order(fresh, (old, 1)))).content
    new = studio.speech.takes.all()[0]
    assert new.made_from == old.id
    assert [part.seed for part in new.parts] == [None, 77]
    kept, _ = soundfile.read(studio.speech.takes.sound(new), dtype="int16")
    assert kept.astype("<i2").tobytes().endswith(heard)
    assert len(heard) // 2 < new.n_samples


def test_a_ticket_is_good_once(studio: Studio, tickets: Tickets, app: FastAPI) -> None:
    ticket = tickets.leave(order(studio, "hello"))
    with TestClient(app) as client:
        assert client.get("/ui-data/speech/" + ticket).status_code == 200
        assert client.get("/ui-data/speech/" + ticket).status_code == 404
        assert client.get("/ui-data/speech/other").status_code == 404
    first = tickets.leave(order(studio, "hello"))
    for _ in range(300):
        tickets.leave(order(studio, "hello"))
    with pytest.raises(NotFound):
        tickets.take(first)


def test_a_listener_who_stops_keeps_what_was_heard(studio: Studio, tickets: Tickets, app: FastAPI) -> None:
    """On a real socket: leaving closes it, the engine stops, the turn is given back."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/ui-data/speech/"
        with httpx.stream("GET", url + tickets.leave(order(studio, LONG)), timeout=PATIENCE_S) as answer:
            first = next(answer.iter_raw())
        deadline = time.monotonic() + PATIENCE_S
        while not studio.speech.takes.all():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        (take,) = studio.speech.takes.all()
        assert take.state == "stopped"
        assert take.n_samples * 2 >= len(first)
        assert take.text == LONG
        assert len(take.parts) < 50, "it did not go on to the end"
        while studio.speech.gate.active:
            assert time.monotonic() < deadline
            time.sleep(0.02)
    finally:
        server.should_exit = True
        thread.join(PATIENCE_S)
