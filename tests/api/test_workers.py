"""Several server processes on one port, and servers that end without cutting anyone off."""

import contextlib
import json
import re
import signal
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from websockets.sync.client import connect

from cli.main import main

PATIENCE_S = 60.0
LONG = "One after another the boats come back. " * 400  # minutes of speech, more than any buffer between us holds


def until(what: Callable[[], Any], why: str) -> Any:
    deadline = time.monotonic() + PATIENCE_S
    while not (found := what()):
        assert time.monotonic() < deadline, why
        time.sleep(0.05)
    return found


def crew(live: Any) -> list[psutil.Process]:
    """The server processes below the one that was started."""
    found = []
    for one in psutil.Process(live.process.pid).children():
        with contextlib.suppress(psutil.Error):  # it ended while we looked
            found += [one] if "spawn_main" in " ".join(one.cmdline()) else []
    return found


def answered(url: str) -> int:
    found = re.findall(r'requests_total\{.*"/api/status".*\} (\d+)', httpx.get(url + "/metrics", timeout=30).text)
    return sum(int(one) for one in found)


def create(url: str, name: str) -> int:
    return httpx.post(url + "/api/v1/characters", json={"character_name": name}, timeout=30).status_code


@contextlib.contextmanager
def speaking(url: str) -> Iterator[Iterator[bytes]]:
    """A long stream whose first bytes have come."""
    form = {"text": LONG}
    with httpx.stream("POST", url + "/api/tts/stream", data=form, timeout=PATIENCE_S) as response:
        assert response.status_code == 200, response.read()
        parts = response.iter_raw(4096)
        next(parts)
        yield parts


def held(url: str) -> int:
    """Turns that are taken, over all processes."""
    speech = httpx.get(url + "/api/gpu/status", timeout=30).json()["speech"]
    return int(speech["active"]) + int(speech["queued"])


@contextlib.contextmanager
def talking(url: str) -> Iterator[Any]:
    """A socket whose long text is being heard."""
    with connect(url.replace("http", "ws") + "/api/tts/ws", open_timeout=30) as open_socket:
        for message in ({"type": "start", "model": "builtin"}, {"type": "text", "text": LONG}, {"type": "end"}):
            open_socket.send(json.dumps(message))
        assert json.loads(open_socket.recv(30))["type"] == "started"
        assert isinstance(open_socket.recv(30), bytes)
        yield open_socket


def sockets_give_their_turn_back(url: str) -> None:
    """Cancelled or gone, whichever process they came to; with room for one the next could not speak otherwise."""
    for _ in range(3):
        with talking(url) as open_socket:
            assert held(url) == 1
            open_socket.send('{"type": "cancel"}')
            while isinstance(said := open_socket.recv(30), bytes):
                pass
            assert json.loads(said)["type"] == "cancelled"
            until(lambda: held(url) == 0, "a cancelled text gives its turn back")
            open_socket.send('{"type": "start", "model": "builtin"}')
            open_socket.send('{"type": "text", "text": "Again."}')
            open_socket.send('{"type": "end"}')
            while isinstance(said := open_socket.recv(30), bytes) or json.loads(said)["type"] == "started":
                pass
            assert json.loads(said)["type"] == "done"
        with talking(url) as open_socket:
            open_socket.socket.shutdown(socket.SHUT_RDWR)  # no goodbye
        until(lambda: held(url) == 0, "a client that vanished gives its turn back")


def test_two_processes_are_one_service(server: Callable[..., Any], tmp_path: Path) -> None:
    """One queue, one database, one count; a process that is killed is replaced."""
    workspace = tmp_path / "ws"
    workspace.mkdir()
    (workspace / "settings.toml").write_text("max_speech = 1\nmax_speech_queue = 1\n", encoding="utf-8")
    live = server(workspace, "--workers", "2")
    before = until(lambda: len(crew(live)) == 2 and crew(live), "both processes are there")

    with ThreadPoolExecutor(8) as pool:  # both answer, and each sees what the other made
        made = list(pool.map(lambda n: create(live.url, f"c{n % 4}"), range(8)))
        seen = list(pool.map(lambda _: len(httpx.get(live.url + "/api/v1/characters", timeout=30).json()), range(8)))
        list(pool.map(lambda _: httpx.get(live.url + "/api/status", timeout=30), range(24)))
    assert sorted(made) == [200] * 4 + [400] * 4
    assert set(seen) == {4}
    until(lambda: answered(live.url) == 24, "both count together")

    with speaking(live.url), ThreadPoolExecutor(6) as pool:  # one speaks, one waits, whichever process they come to

        def ask(_: int) -> int:
            try:
                return httpx.post(live.url + "/api/tts", data={"text": "short"}, timeout=3).status_code
            except httpx.ReadTimeout:
                return 0

        codes = list(pool.map(ask, range(6)))
    assert sorted(codes) == [0, *[429] * 5]

    sockets_give_their_turn_back(live.url)

    before[0].kill()
    until(lambda: len(crew(live)) == 2 and before[0].pid not in {one.pid for one in crew(live)}, "another takes over")
    until(lambda: answered(live.url) == 24, "what was counted stays counted")
    assert httpx.post(live.url + "/api/tts", data={"text": "short"}, timeout=PATIENCE_S).status_code == 200

    left = crew(live)
    live.kill()  # -9: nobody is told
    psutil.wait_procs(left, PATIENCE_S)
    assert not [one for one in left if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]


@pytest.mark.parametrize("options", [(), ("--workers", "2")], ids=["one", "two"])
def test_what_is_being_spoken_is_spoken_to_its_end(
    server: Callable[..., Any], tmp_path: Path, options: tuple[str, ...]
) -> None:
    live = server(tmp_path / "ws", *options)
    whole = httpx.post(live.url + "/api/tts/stream", data={"text": LONG}, timeout=PATIENCE_S)
    with speaking(live.url) as parts:
        live.process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        with contextlib.suppress(httpx.TransportError):
            late = httpx.post(live.url + "/api/tts/stream", data={"text": "late"}, timeout=PATIENCE_S)
            assert late.status_code == 503
            assert late.headers["Retry-After"]
        got = 4096 + sum(len(part) for part in parts)
    assert abs(got - len(whole.content)) < 0.05 * len(whole.content)  # espeak's tremor changes a length a little
    assert live.process.wait(PATIENCE_S) == 0


def test_asked_twice_it_ends_at_once(server: Callable[..., Any], tmp_path: Path) -> None:
    live = server(tmp_path / "ws")
    with speaking(live.url):
        live.process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        live.process.send_signal(signal.SIGTERM)
        live.process.wait(20)


def test_the_page_lives_in_one_process(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--workers", "2", "--no-browser"]) == 1
    assert "--api-only" in capsys.readouterr().err
