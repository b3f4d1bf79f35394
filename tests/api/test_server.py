"""The application over a real Studio in an empty workspace; the page left out."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from api.server import build_app
from core.settings import load_settings
from core.studio import Studio


@pytest.fixture
def studio(workspace: Path) -> Iterator[Studio]:
    made = Studio(load_settings({"workspace": str(workspace)}, env={}))
    yield made
    made.close()


@pytest.fixture
def client(studio: Studio) -> TestClient:
    return TestClient(build_app(studio, with_page=False), base_url="http://127.0.0.1", raise_server_exceptions=False)


def test_health(client: TestClient) -> None:
    answer = client.get("/health")
    assert answer.status_code == 200
    assert answer.json()["ok"] is True


def test_status_names_the_device_and_the_disk(client: TestClient) -> None:
    status = client.get("/api/status").json()
    assert status["device"]["kind"] in ("cpu", "cuda")
    assert status["disk_free_bytes"] > 0
    assert status["running"] == []
    assert status["queued"] == 0


def test_voices_are_made_and_listed(client: TestClient) -> None:
    assert client.get("/api/voices").json() == []
    made = client.post("/api/voices", json={"name": "小明 / test"})
    assert made.status_code == 201
    name = made.json()["name"]
    assert "/" not in name
    assert [voice["name"] for voice in client.get("/api/voices").json()] == [name]
    assert client.get(f"/api/voices/{name}/models").json() == []
    again = client.post("/api/voices", json={"name": "小明 / test"})
    assert again.status_code == 409
    assert again.json()["error"]["code"] == "conflict"


def test_unknown_voice(client: TestClient) -> None:
    answer = client.get("/api/voices/nobody/models")
    assert answer.status_code == 404
    error = answer.json()["error"]
    assert error["code"] == "not_found"
    assert "nobody" in error["message"]


def test_bad_requests_name_the_field(client: TestClient) -> None:
    answer = client.post("/api/voices", json={"nam": "x"})
    assert answer.status_code == 422
    assert "body.name" in answer.json()["error"]["message"]
    assert client.get("/api/jobs", params={"limit": 0}).status_code == 422
    assert client.get("/api/jobs/one").status_code == 422


def test_jobs_are_listed_cancelled_and_retried(client: TestClient, studio: Studio, speech: Path) -> None:
    name = client.post("/api/voices", json={"name": "queue"}).json()["name"]
    studio.add_recordings(name, [speech])
    job = studio.prepare(name)  # no dispatcher runs here, so it stays queued
    assert [found["id"] for found in client.get("/api/jobs").json()] == [job.id]
    shown = client.get(f"/api/jobs/{job.id}").json()
    assert (shown["state"], shown["voice"]) == ("queued", name)
    cancelled = client.post(f"/api/jobs/{job.id}/cancel")
    assert cancelled.status_code == 202
    assert cancelled.json()["state"] == "cancelled"
    again = client.post(f"/api/jobs/{job.id}/retry")
    assert again.status_code == 201
    assert again.json()["retry_of"] == job.id
    assert client.get("/api/jobs/999").status_code == 404
    assert client.post("/api/jobs/999/cancel").status_code == 404


def test_surprises_are_a_sentence(studio: Studio, caplog: pytest.LogCaptureFixture) -> None:
    app = build_app(studio, with_page=False)

    @app.get("/broken")
    def broken() -> None:
        raise RuntimeError("the secret detail")

    answer = TestClient(app, base_url="http://127.0.0.1").get("/broken")  # it must not reach the server as an error
    assert answer.status_code == 500
    assert "secret detail" not in answer.text
    assert answer.json()["error"]["message"]
    assert "the secret detail" in caplog.text


def test_guard_surrounds_everything(studio: Studio) -> None:
    app = build_app(studio, with_page=False)
    assert TestClient(app, base_url="http://evil.example").get("/health").status_code == 421
    assert TestClient(app, base_url="http://evil.example").get("/docs").status_code == 421


def test_other_origins_may_not_read(client: TestClient) -> None:
    """CORS is off: without these headers a browser keeps our answers from the page that asked."""
    evil = {"origin": "http://evil.example"}
    asked = client.options("/api/v1/characters", headers={**evil, "access-control-request-method": "DELETE"})
    for answer in (client.get("/api/v1/characters", headers=evil), asked):
        assert not [name for name in answer.headers if name.startswith("access-control")]
    assert asked.status_code >= 400


def test_a_wrong_method_is_told_the_right_ones(client: TestClient) -> None:
    answer = client.patch("/api/v1/characters/bob")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "DELETE, GET, PUT"
