"""What the tests of subtitles share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from core.jobs.context import ForegroundContext
from core.settings import Settings
from core.subtitles import endpoint
from tests.subtitles.llm_server import Server


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(endpoint, "_FIRST_WAIT_S", 0.02)
    one = Server()
    yield one
    one.http.shutdown()
    one.http.server_close()


@pytest.fixture
def ctx(tmp_path: Path) -> ForegroundContext:
    return ForegroundContext(Settings(workspace=tmp_path))
