"""TensorBoard under /tensorboard: shows what is in the runs folder, and nothing else."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from ui.tensorboard import LazyTensorBoard, mount_tensorboard


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def client(runs: Path) -> TestClient:
    from torch.utils.tensorboard import SummaryWriter

    for place in ("小雨-lite", "deleted later", ".trash/deleted"):
        with SummaryWriter(str(runs / place)) as writer:
            for step in range(3):
                writer.add_scalar("loss/g/mel", 3.0 - step, step)
    app = FastAPI()
    mount_tensorboard(app, runs)
    return TestClient(app)


def test_page_and_prefix(client: TestClient) -> None:
    answer = client.get("/tensorboard/")
    assert answer.status_code == 200
    assert "text/html" in answer.headers["content-type"]
    assert client.get("/tensorboard", follow_redirects=True).status_code == 200


def tags_when(client: TestClient, there: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """Runs with their tags once they are as wanted: the reader runs in its own thread, every five seconds."""
    for _ in range(300):
        tags: dict[str, Any] = client.get("/tensorboard/data/plugin/scalars/tags").json()
        if there(tags):
            break
        time.sleep(0.1)
    return tags


def test_scalar_is_there(client: TestClient) -> None:
    tags = tags_when(client, lambda tags: len(tags) == 2)
    assert tags["小雨-lite"] == {"loss/g/mel": {"displayName": "loss/g/mel", "description": ""}}
    wanted = {"tag": "loss/g/mel", "run": "小雨-lite"}
    rows = client.get("/tensorboard/data/plugin/scalars/scalars", params=wanted).json()
    assert [row[2] for row in rows] == [3.0, 2.0, 1.0]


def test_deleted_runs_are_not_shown(client: TestClient, runs: Path) -> None:
    assert set(tags_when(client, lambda tags: len(tags) == 2)) == {"小雨-lite", "deleted later"}
    (runs / "deleted later").rename(runs / ".trash" / "deleted later")
    assert set(tags_when(client, lambda tags: len(tags) == 1)) == {"小雨-lite"}


def test_projector_is_off(client: TestClient) -> None:
    listing = client.get("/tensorboard/data/plugins_listing").json()
    assert "projector" not in listing
    assert "scalars" in listing
    assert "audio" in listing
    assert client.get("/tensorboard/data/plugin/projector/runs").status_code == 404


def test_nothing_is_imported_before_the_first_request(tmp_path: Path) -> None:
    app = FastAPI()
    mount_tensorboard(app, tmp_path / "none")
    board = next(r.app for r in app.routes if getattr(r, "path", "") == "/tensorboard")
    assert isinstance(board, LazyTensorBoard)
    assert board._app is None
    assert not (tmp_path / "none").exists()


def test_other_methods_are_refused(client: TestClient) -> None:
    assert client.delete("/tensorboard/").status_code == 405
