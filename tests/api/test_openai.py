"""What OpenAI's clients send, the socket, the figures for those who watch, and the log of requests."""

import base64
import io
import json
import re
import threading
from pathlib import Path

import av
import pytest
from fastapi.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from api.job_results import event_of
from api.routes.tts_socket import MAX_PIECE, MAX_TEXT
from core.studio import Studio


@pytest.mark.parametrize("fmt", ["mp3", "opus", "aac", "flac", "wav"])
def test_speech_in_each_format(client: TestClient, fmt: str) -> None:
    answer = client.post(
        "/v1/audio/speech", json={"model": "tts-1", "input": "Hello there.", "voice": "onyx", "response_format": fmt}
    )
    assert answer.status_code == 200, answer.text
    with av.open(io.BytesIO(answer.content)) as container:
        seconds = sum(frame.samples / frame.sample_rate for frame in container.decode(audio=0))
    assert 0.4 < seconds < 3


def test_speech_as_pcm_and_as_events_is_the_same_length(client: TestClient) -> None:
    ask = {"model": "builtin", "input": "Hello there.", "voice": "nova", "response_format": "pcm"}
    plain = client.post("/v1/audio/speech", json=ask)
    assert plain.headers["x-sample-rate"] == "24000"
    events = client.post("/v1/audio/speech", json={**ask, "stream_format": "sse"})
    rows = [json.loads(line[6:]) for line in events.text.splitlines() if line.startswith("data: ")]
    assert {row["type"] for row in rows[:-1]} == {"speech.audio.delta"}
    assert rows[-1]["type"] == "speech.audio.done"
    assert sum(len(base64.b64decode(row["audio"])) for row in rows[:-1]) == len(plain.content)
    faster = client.post("/v1/audio/speech", json={**ask, "speed": 2.0})
    assert len(faster.content) < 0.8 * len(plain.content)


@pytest.mark.parametrize(
    ("change", "status"),
    [({"input": ""}, 422), ({"input": "…"}, 400), ({"voice": "nobody"}, 404), ({"model": "x"}, 400),
     ({"response_format": "midi"}, 422), ({"speed": 9}, 422), ({"extra": 1}, 422)],
)  # fmt: skip
def test_speech_refusals(client: TestClient, change: dict[str, object], status: int) -> None:
    answer = client.post("/v1/audio/speech", json={"model": "tts-1", "input": "hi", "voice": "alloy", **change})
    assert answer.status_code == status
    assert answer.json()["error"]["message"]


def test_what_a_model_does_not_take_is_left(client: TestClient) -> None:
    ask = {"model": "tts-1", "input": "hi", "voice": "marin", "instructions": "Whisper it.", "response_format": "pcm"}
    assert client.post("/v1/audio/speech", json=ask).status_code == 200


def test_models_say_what_is_ready(client: TestClient, studio: Studio) -> None:
    rows = {row["id"]: row for row in client.get("/v1/models").json()["data"]}
    assert rows["builtin"]["ready"] is True
    for row in rows.values():
        assert row["ready"] or row["why_not"]
        assert str(studio.settings.pretrain_dir) not in json.dumps(row), "where things lie is not told"
        assert client.get(f"/v1/models/{row['id']}").json() == row
    assert client.get("/v1/models/gpt-5").status_code == 404


def test_transcription_refusals(client: TestClient) -> None:
    file = {"file": ("x.wav", b"RIFF")}
    assert client.post("/v1/audio/transcriptions", files=file, data={"model": "no-such"}).status_code == 404
    assert client.post("/v1/audio/transcriptions", files=file, data={"language": "english"}).status_code == 422
    assert client.post("/v1/audio/transcriptions", data={"model": "whisper-1"}).status_code == 422
    assert client.post("/v1/audio/transcriptions", files={"file": ("x.wav", b"")}).status_code == 400


def test_conversion_needs_a_trained_character(client: TestClient, studio: Studio) -> None:
    file = {"file": ("x.wav", b"RIFF")}
    assert client.post("/api/v1/convert", files=file, data={"character_name": "nobody"}).status_code == 404
    studio.create_voice("bob")
    assert client.post("/api/v1/convert", files=file, data={"character_name": "bob"}).status_code == 400
    assert client.post("/api/v1/convert", files=file, data={"character_name": "../bob"}).status_code == 404


def test_socket_speaks_while_text_comes_and_again(client: TestClient) -> None:
    with client.websocket_connect("ws://127.0.0.1/api/tts/ws") as socket:
        for _ in range(2):
            socket.send_json({"type": "start", "model": "builtin", "sample_rate": 16000})
            for piece in ("The harbour wakes bef", "ore the sun. The boats", " slip out past the wall. "):
                socket.send_json({"type": "text", "text": piece})
            started = socket.receive_json()  # the first sentence is heard before the text has ended
            assert (started["type"], started["sample_rate"]) == ("started", 16000)
            sound = socket.receive_bytes()
            socket.send_json({"type": "end"})
            while True:
                message = socket.receive()
                if message.get("text"):
                    break
                sound += message["bytes"]
            done = json.loads(message["text"])
            assert done["type"] == "done"
            assert done["seconds"] == pytest.approx(len(sound) / 2 / 16000, abs=0.01)
            assert done["seconds"] > 2


def test_socket_cancels_and_refuses(client: TestClient) -> None:
    with client.websocket_connect("ws://127.0.0.1/api/tts/ws") as socket:
        socket.send_text("no json")
        assert socket.receive_json()["error"]["code"] == "bad_input"
        socket.send_json({"type": "start", "volume": 11})
        assert "volume" in socket.receive_json()["error"]["message"]
        socket.send_json({"type": "start", "model": "builtin"})
        socket.send_json({"type": "cancel"})
        assert socket.receive_json()["type"] == "cancelled"
        socket.send_json({"type": "start", "model": "builtin"})
        socket.send_json({"type": "text", "text": "x" * 20_001})
        assert socket.receive_json()["type"] == "error"
        socket.send_json({"type": "start", "model": "builtin"})
        socket.send_json({"type": "end"})
        assert socket.receive_json()["type"] in ("error", "started")  # nothing to say is no sound, or an error
    with client.websocket_connect("ws://127.0.0.1/api/tts/ws") as socket:
        socket.send_bytes(b"\xff\x00garbage")
        assert socket.receive_json()["error"]["code"] == "bad_input"
        socket.send_json({"type": "start", "model": "builtin"})
        for _ in range(MAX_TEXT // MAX_PIECE + 1):
            socket.send_json({"type": "text", "text": "." * MAX_PIECE})
        assert str(MAX_TEXT) in socket.receive_json()["error"]["message"], "a text without end is none"
    status = client.get("/api/gpu/status").json()["speech"]
    assert status["active"] == 0


def test_socket_is_guarded(client: TestClient) -> None:
    with (
        pytest.raises(WebSocketDisconnect),
        client.websocket_connect("ws://127.0.0.1/api/tts/ws", headers={"origin": "http://evil.example"}),
    ):
        pass


def test_metrics_are_prometheus_text(client: TestClient) -> None:
    client.get("/api/jobs")
    client.post("/api/tts", data={"text": "hello"})
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    line = re.compile(r'(# (HELP|TYPE) \w+ .+|\w+(\{\w+="[^"]*"(,\w+="[^"]*")*\})? [0-9.e+-]+)')
    lines = answer.text.splitlines()
    assert [each for each in lines if not line.fullmatch(each)] == []
    assert 'timbre_http_requests_total{method="GET",route="/api/jobs",status="200"}' in answer.text
    assert 'timbre_jobs{state="queued"} 0' in lines
    count = next(each for each in lines if each.startswith("timbre_speech_first_chunk_seconds_count"))
    assert float(count.split()[1]) >= 1
    names = [each.split()[2] for each in lines if each.startswith("# TYPE")]
    assert len(names) == len(set(names))


def test_every_request_is_one_line_of_the_log(client: TestClient, studio: Studio) -> None:
    client.get("/api/jobs?token=secret")
    client.get("/api/v1/characters/a%0Ab%22/audio/status")
    client.get("/health", headers={"host": "evil.example"})
    rows = [json.loads(row) for row in (studio.settings.log_dir / "access.log").read_text().splitlines()]
    assert [row["status"] for row in rows] == [200, 404, 421]
    assert rows[0]["path"] == "/api/jobs"
    assert "secret" not in json.dumps(rows)
    assert rows[0]["bytes"] > 0
    with client.websocket_connect("ws://127.0.0.1/api/tts/ws") as socket:
        socket.send_text("{}")
        socket.receive_json()
    with pytest.raises(WebSocketDisconnect), client.websocket_connect("ws://evil.example/api/tts/ws"):
        pass
    rows = [json.loads(row) for row in (studio.settings.log_dir / "access.log").read_text().splitlines()][3:]
    assert [(row["method"], row["status"]) for row in rows] == [("WEBSOCKET", 101), ("WEBSOCKET", 403)]
    assert rows[0]["bytes"] > 0


def test_job_events_of_an_unknown_job(client: TestClient) -> None:
    assert client.get("/api/jobs/999/events").status_code == 404


def test_job_events_go_on_where_they_broke_off(client: TestClient, studio: Studio, speech: Path) -> None:
    studio.create_voice("bob")
    studio.add_recordings("bob", [speech])
    job = studio.prepare("bob")  # no dispatcher runs here: it stays queued
    url = f"/api/jobs/{job.id}/events"
    threading.Timer(1.0, lambda: studio.cancel(job.id)).start()
    kinds, ids = told(client.get(url).text)
    assert kinds == ["progress", "end"]
    assert ids[0] == event_of(job)[0], "the same state has the same id, whichever process tells it"
    assert told(client.get(url, headers={"Last-Event-ID": ids[0]}).text) == (["end"], ids[1:])
    assert client.get(url, headers={"Last-Event-ID": ids[1]}).status_code == 204, "an EventSource stops at this"


def told(text: str) -> tuple[list[str], list[str]]:
    """(kinds, ids) of the events in a stream."""
    lines = text.splitlines()
    return [line[7:] for line in lines if line.startswith("event: ")], [x[4:] for x in lines if x.startswith("id: ")]


def test_root_without_the_page(client: TestClient) -> None:
    found = client.get("/").json()
    assert found["docs_url"] == "/docs"
    for path in ("/docs", "/redoc"):
        page = client.get(path)
        assert page.headers["content-type"].startswith("text/html")
        assert "://" not in page.text, "the reference works without a network, and tells nobody who reads it"
    schema = client.get("/openapi.json").json()
    assert "/api/tts/stream" in schema["paths"]
