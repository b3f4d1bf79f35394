"""What the page's scripts ask for: cues, peaks, sound, the report; and what they are told when that is not possible."""

import io
import wave
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from api import errors
from core.settings import Settings
from core.studio import Studio
from ui.data_routes import cuts_of, router

VOICE, NAME = "小 voice", "a talk.wav"
PLACE = {"voice": VOICE, "recording": NAME}


@pytest.fixture
def studio(workspace: Path, tmp_path: Path, write_wav: Callable[..., Path]) -> Iterator[Studio]:
    made = Studio(Settings(workspace=workspace))
    made.create_voice(VOICE)
    tone = 0.5 * np.sin(np.arange(4 * 8000) * 0.1)
    made.add_recordings(VOICE, [write_wav(tmp_path / NAME, tone, 8000)])
    yield made
    made.close()


@pytest.fixture
def client(studio: Studio) -> TestClient:
    app = FastAPI()
    errors.install(app)
    app.include_router(router(studio))
    return TestClient(app)


def test_cues_are_saved_and_come_back(client: TestClient) -> None:
    first = client.get("/ui-data/cues", params=PLACE).json()
    assert first["cues"] == []
    assert first["duration_s"] == pytest.approx(4.0)
    assert first["cuts"] == []
    edited = {**PLACE, "version": first["version"], "cues": [{"start_ms": 10, "end_ms": 900, "text": "“hi” <b>"}]}
    saved = client.put("/ui-data/cues", json=edited)
    assert saved.status_code == 200
    again = client.get("/ui-data/cues", params=PLACE).json()
    assert again["version"] == saved.json()["version"]
    assert again["cues"][0]["text"] == "“hi” <b>"
    refused = client.put("/ui-data/cues", json=edited)
    assert refused.status_code == 409
    assert "another window" in refused.json()["error"]["message"]
    wrong = client.put("/ui-data/cues", json={**edited, "version": saved.json()["version"], "cues": [{"start_ms": 5}]})
    assert wrong.status_code == 422
    assert wrong.json()["error"]["hint"]


def test_peaks_and_sound(client: TestClient) -> None:
    peaks = np.frombuffer(client.get("/ui-data/peaks", params={**PLACE, "block": 0}).content, np.int8).reshape(-1, 2)
    assert peaks.shape == (800, 2)
    assert abs(int(peaks.max()) - 64) <= 1
    speech = client.get("/ui-data/speech", params={**PLACE, "block": 0})
    assert len(speech.content) == 4 * 1000 // 32
    sound = client.get("/ui-data/sound", params={**PLACE, "start_ms": 1500, "end_ms": 2250})
    assert sound.headers["content-type"] == "audio/wav"
    with wave.open(io.BytesIO(sound.content)) as file:
        assert (file.getframerate(), file.getnframes()) == (8000, 6000)


@pytest.mark.parametrize("recording", ["../../../etc/passwd", "/etc/passwd", "none.wav", ""])
def test_nothing_outside_the_voice_is_read(client: TestClient, recording: str) -> None:
    block, stretch = {"block": "0"}, {"start_ms": "0", "end_ms": "9"}
    for name, more in (("cues", {}), ("peaks", block), ("speech", block), ("sound", stretch)):
        answer = client.get(f"/ui-data/{name}", params={"voice": VOICE, "recording": recording, **more})
        assert answer.status_code in (404, 422), (name, recording)
        assert "error" in answer.json()


def test_stretches_that_cannot_be_played_and_reports_that_are_not_there(client: TestClient) -> None:
    assert client.get("/ui-data/sound", params={**PLACE, "start_ms": 900, "end_ms": 100}).status_code == 422
    assert client.get("/ui-data/sound", params={**PLACE, "start_ms": 0, "end_ms": 10**9}).status_code == 422
    assert client.get("/ui-data/quality-report", params={"voice": VOICE}).status_code == 404


def test_cuts_are_those_that_were_made() -> None:
    times = {"cue_start_s": 1.0, "cue_end_s": 2.0, "start_s": 0.9504, "end_s": 2.1}
    assert cuts_of(None) == []
    assert cuts_of({"cues": [{**times, "audio": "a.wav"}, {**times, "audio": None}]}) == [[1000, 2000, 950, 2100]]
