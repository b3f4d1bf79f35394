"""TensorBoard under /tensorboard: shows what is in the runs folder, and nothing else."""

from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from ui.tensorboard import LazyTensorBoard, mount_tensorboard


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> TestClient:
    runs = tmp_path_factory.mktemp("runs")
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(runs / "小雨-lite")) as writer:
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


def test_scalar_is_there(client: TestClient) -> None:
    import time

    for _ in range(100):  # the reader runs in its own thread
        tags = client.get("/tensorboard/data/plugin/scalars/tags").json()
        if tags:
            break
        time.sleep(0.1)
    assert tags["小雨-lite"] == {"loss/g/mel": {"displayName": "loss/g/mel", "description": ""}}
    wanted = {"tag": "loss/g/mel", "run": "小雨-lite"}
    rows = client.get("/tensorboard/data/plugin/scalars/scalars", params=wanted).json()
    assert [row[2] for row in rows] == [3.0, 2.0, 1.0]


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
