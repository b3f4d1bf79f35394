"""The real studio in a process of its own, and a real Chromium that writes down whatever goes wrong in the page."""

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

REPO_ROOT = Path(__file__).resolve().parents[2]
# Two shared cores are at times ten times slower than a moment ago; nothing here is judged by the clock.
PATIENCE_MS = 180_000
HARMLESS = ("Method not implemented",)  # Gradio's own, of its waveform


@dataclass
class Served:
    """A running studio."""

    url: str
    workspace: Path
    log: Path


@dataclass
class Watch:
    """What a page said and asked for."""

    errors: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)
    local: int = 0

    def check(self) -> None:
        """Fail with everything that went wrong so far."""
        assert self.errors == [], "the page reported errors"
        assert self.foreign == [], "the page asked other hosts"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start_studio(folder: Path, **env: str) -> tuple[subprocess.Popen[bytes], Served]:
    """`app.py serve` on a free port over an empty workspace; returns when /health answers."""
    workspace, log, port = folder / "工作 space", folder / "serve.log", free_port()
    command = [sys.executable, str(REPO_ROOT / "app.py"), "serve", "--port", str(port), "--no-browser",
               "--workspace", str(workspace)]
    with open(log, "wb") as out:
        process = subprocess.Popen(command, cwd=REPO_ROOT, stdout=out, stderr=subprocess.STDOUT,
                                   env={**os.environ, **env})
    served = Served(f"http://127.0.0.1:{port}", workspace, log)
    for _ in range(1200):
        if process.poll() is not None:
            pytest.fail(f"app.py serve ended with {process.returncode}:\n{log.read_text('utf-8', 'replace')}")
        try:
            with urllib.request.urlopen(served.url + "/health", timeout=5):
                return process, served
        except OSError:
            time.sleep(0.1)
    process.kill()
    pytest.fail("the studio did not answer at /health")


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory, chromium: str) -> Iterator[Served]:
    """One studio for the tests of a module."""
    process, served = start_studio(tmp_path_factory.mktemp("studio"))
    yield served
    process.terminate()
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Any]:
    """A headless Chromium that makes no requests of its own."""
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as play:
        instance = play.chromium.launch(executable_path=chromium, args=[
            "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
            "--autoplay-policy=no-user-gesture-required", "--use-fake-ui-for-media-stream",
            "--use-fake-device-for-media-stream",
        ])
        yield instance
        instance.close()


@pytest.fixture
def watch() -> Watch:
    """Filled by ``page``."""
    return Watch()


@pytest.fixture
def page(browser: Any, studio: Served, watch: Watch, request: pytest.FixtureRequest) -> Iterator[Any]:
    """A fresh visitor, 1280x800, English. After the test: no console errors, no foreign requests."""
    options = {"viewport": {"width": 1280, "height": 800}, "locale": "en-US", **getattr(request, "param", {})}
    context = browser.new_context(**options)
    context.set_default_timeout(PATIENCE_MS)
    tab = context.new_page()

    def on_console(message: Any) -> None:
        if message.type == "error" and not message.text.startswith(HARMLESS):
            watch.errors.append(f"{message.text} ({message.location.get('url', '')})")

    def on_request(asked: Any) -> None:
        parts = urlsplit(asked.url)
        if parts.scheme in ("data", "blob"):
            return
        if parts.hostname == "127.0.0.1":
            watch.local += 1
        else:
            watch.foreign.append(asked.url)

    tab.on("console", on_console)
    tab.on("pageerror", lambda error: watch.errors.append(str(error)))
    tab.on("request", on_request)
    tab.on("response", lambda r: watch.errors.append(f"{r.status} {r.url}") if r.status >= 400 else None)
    yield tab
    context.close()
    watch.check()


def open_page(page: Any, url: str, name: str = "home") -> None:
    """Go to a page of the studio and wait until it is drawn and alive (the status bar has been filled)."""
    page.goto(f"{url}/#{name}" if url.count("/") == 2 else f"{url}#{name}")
    page.wait_for_selector(f"#page-{name}.ts-open")
    page.wait_for_selector("#status-bar .ts-status")


def make_voice(page: Any, name: str) -> None:
    """Make a voice by the sidebar and wait until it is chosen."""
    page.click("#voice-new")
    page.fill("#voice-name input, #voice-name textarea", name)
    page.click("#voice-create")
    page.wait_for_function("name => document.querySelector('#voice input').value === name", arg=name)


@pytest.fixture(scope="session")
def do() -> Any:
    """The helpers of this file, for tests (importlib mode cannot import a conftest)."""
    import types

    return types.SimpleNamespace(open=open_page, voice=make_voice, start=start_studio)
