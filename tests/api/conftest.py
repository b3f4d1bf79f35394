"""Real servers over real workspaces: in this process for refusals, in one of its own for what takes jobs."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from fastapi.testclient import TestClient

from api.server import build_app
from core.settings import load_settings
from core.studio import Studio

REPO_ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 240.0  # a bound for a hung test, not a measurement


@dataclass
class Live:
    """A server process."""

    url: str
    workspace: Path
    process: "subprocess.Popen[bytes]"

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


def start_server(workspace: Path, *options: str, **env: str) -> Live:
    """`app.py serve --api-only` on any port; returns once it says where it is."""
    command = [
        sys.executable,
        str(REPO_ROOT / "app.py"),
        "serve",
        "--port",
        "0",
        "--no-browser",
        "--api-only",
        "--workspace",
        str(workspace),
        *options,
    ]
    process = subprocess.Popen(
        command,
        cwd=REPO_ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONUTF8": "1", **env},
    )
    assert process.stdout is not None
    said = ""
    for line in process.stdout:
        said += line.decode("utf-8")
        if "http://" in said:
            break
    assert "http://" in said, said
    url = said[said.index("http://") :].split()[0].rstrip("/")
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            httpx.get(url + "/health", timeout=5)
            return Live(url, workspace, process)
        except httpx.TransportError:
            assert time.monotonic() < deadline, "the server does not answer"
            time.sleep(0.05)


@pytest.fixture(scope="session")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """One server for all tests that only add to it."""
    server = start_server(tmp_path_factory.mktemp("live") / "工作 space")
    yield server
    server.process.terminate()
    try:
        server.process.wait(30)
    except subprocess.TimeoutExpired:
        server.kill()


@pytest.fixture
def server() -> Iterator[Callable[..., Live]]:
    """`server(workspace, *options) -> Live`; all are ended with the test."""
    begun: list[Live] = []

    def start(workspace: Path, *options: str) -> Live:
        begun.append(start_server(workspace, *options))
        return begun[-1]

    yield start
    for one in begun:
        one.kill()


@pytest.fixture
def studio(workspace: Path) -> Iterator[Studio]:
    made = Studio(load_settings({"workspace": str(workspace)}, env={}))
    yield made
    made.close()


@pytest.fixture
def client(studio: Studio) -> Iterator[TestClient]:
    """The application in this process; no dispatcher runs, so jobs stay queued."""
    app = build_app(studio, with_page=False)
    with TestClient(app, base_url="http://127.0.0.1", raise_server_exceptions=False) as made:
        yield made


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A VoxCPM of random weights in the real files."""
    from core.engines.voxcpm import package

    if not package.installed():
        pytest.skip("the package voxcpm is not installed")
    from tests.engines.voxcpm.tiny import build

    return build(tmp_path_factory.mktemp("models") / "tiny", "voxcpm")
