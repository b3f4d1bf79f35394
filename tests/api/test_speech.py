"""Speech over HTTP with the built-in engine: the documented fields, every form of sound, refusals, and endings."""

import io
import threading
import time
import wave
from collections.abc import Iterator
from pathlib import Path

import av
import httpx
import numpy as np
import pytest
import soundfile
from fastapi.testclient import TestClient

TEXT = "The harbour wakes before the sun. Boats slip out past the wall."


def decoded(data: bytes) -> tuple[np.ndarray, int]:
    """All samples of any container, mono."""
    with av.open(io.BytesIO(data)) as container:
        frames = [frame.to_ndarray().reshape(-1) for frame in container.decode(audio=0)]
        return np.concatenate(frames), container.streams.audio[0].rate


def alike(one: bytes, other: bytes) -> bool:
    """The same words at the same times; espeak-ng's tremor differs each time, so the samples do."""
    if len(one) != len(other):
        return False
    blocks = [np.frombuffer(data, "<i2").astype(float)[: len(data) // 2 // 4410 * 4410] for data in (one, other)]
    a, b = (np.sqrt(np.mean(block.reshape(-1, 4410) ** 2, axis=1)) for block in blocks)
    return bool(np.corrcoef(a, b)[0, 1] > 0.95)


def test_the_default_is_one_wav_that_players_and_concatenation_take(client: TestClient) -> None:
    with client.stream("POST", "/api/tts/stream", data={"text": TEXT, "inference_timesteps": "5"}) as answer:
        assert answer.status_code == 200, answer.read()
        assert answer.headers["content-type"] == "audio/wav"
        assert answer.headers["x-sample-rate"] == "44100"
        assert float(answer.headers["x-first-chunk-ms"]) > 0
        assert "queue;dur=" in answer.headers["server-timing"]
        pieces = list(answer.iter_bytes())
    data = b"".join(pieces)
    assert data.count(b"RIFF") == 1
    sound, rate_hz = decoded(data)
    assert rate_hz == 44100
    assert 2.0 < sound.size / rate_hz < 8.0
    with wave.open(io.BytesIO(data)) as file:  # the standard library reads it as well
        assert (file.getframerate(), file.getsampwidth(), file.getnchannels()) == (44100, 2, 1)
        assert len(file.readframes(1 << 30)) == len(data) - 44
    read, _ = soundfile.read(io.BytesIO(data), dtype="int16")
    assert read.size == (len(data) - 44) // 2
    whole = client.post("/api/tts", data={"text": TEXT})
    assert int(whole.headers["content-length"]) == len(whole.content)
    assert alike(whole.content[44:], data[44:]), "the sum of the chunks is the one-shot result"
    with wave.open(io.BytesIO(whole.content)) as file:
        assert file.getnframes() / 44100 == pytest.approx(float(whole.headers["x-duration-s"]), abs=0.002)


def test_each_chunk_is_a_whole_wav_when_asked(client: TestClient) -> None:
    data = client.post("/api/tts/stream", data={"text": TEXT, "chunk_format": "wav"}).content
    plain = client.post("/api/tts/stream", data={"text": TEXT, "chunk_format": "pcm"}).content
    at, samples, n_chunks = 0, b"", 0
    while at < len(data):
        n_bytes = int.from_bytes(data[at + 4 : at + 8], "little") + 8
        with wave.open(io.BytesIO(data[at : at + n_bytes])) as file:
            assert file.getframerate() == 44100
            samples += file.readframes(file.getnframes())
        at, n_chunks = at + n_bytes, n_chunks + 1
    assert n_chunks > 5
    assert alike(samples, plain)


@pytest.mark.parametrize("fmt", ["flac", "mp3", "opus"])
def test_compressed_streams_play(client: TestClient, fmt: str) -> None:
    plain = client.post("/api/tts/stream", data={"text": TEXT, "chunk_format": "pcm", "sample_rate": "0"})
    answer = client.post("/api/tts/stream", data={"text": TEXT, "chunk_format": fmt, "sample_rate": "22050"})
    sound, rate_hz = decoded(answer.content)
    assert str(rate_hz) == answer.headers["x-sample-rate"]
    assert rate_hz == {"flac": 22050, "mp3": 32000, "opus": 48000}[fmt]
    assert sound.size / rate_hz == pytest.approx(len(plain.content) / 2 / 22050, abs=0.2)


@pytest.mark.parametrize(
    ("fields", "status", "named"),
    [({"text": ""}, 422, "text"), ({}, 422, "text"), ({"text": " … "}, 400, "text"),
     ({"text": "x" * 20_001}, 422, "text"),
     ({"text": "x", "cfg_value": "0.5"}, 422, "cfg_value"), ({"text": "x", "cfg_value": "nan"}, 422, "cfg_value"),
     ({"text": "x", "inference_timesteps": "0"}, 422, "inference_timesteps"),
     ({"text": "x", "retry_badcase": "true"}, 400, "retry_badcase"),
     ({"text": "x", "min_len": "5", "max_len": "4"}, 400, "min_len"),
     ({"text": "x", "chunk_format": "midi"}, 422, "chunk_format"),
     ({"text": "x", "model": "../../etc"}, 400, "speech engine"), ({"text": "x", "model": "voxcpm:../x"}, 400, "path"),
     ({"text": "x", "prompt_text": "what"}, 400, "prompt_audio")],
)  # fmt: skip
def test_refusals_name_the_field(client: TestClient, fields: dict[str, str], status: int, named: str) -> None:
    answer = client.post("/api/tts/stream", data={"x": "", **fields})
    assert answer.status_code == status, answer.text
    assert named in answer.text


def test_cloning_without_a_model_says_what_to_bring(client: TestClient, speech: Path) -> None:
    files = {"prompt_audio": ("../x.wav", speech.read_bytes())}
    answer = client.post("/api/tts/stream", data={"text": "hi", "prompt_text": "so", "model": "builtin"}, files=files)
    assert answer.status_code == 400
    assert "VoxCPM" in answer.json()["error"]["hint"]
    gone = client.post("/api/tts/stream", data={"text": "hi", "voice": "nobody"})
    assert gone.status_code == 404


def test_a_clone_of_an_uploaded_clip_is_streamed(workspace: Path, tiny: Path, speech: Path) -> None:
    from api.server import build_app
    from core.settings import load_settings
    from core.studio import Studio

    studio = Studio(load_settings({"workspace": str(workspace), "speech_model": str(tiny)}, env={}))
    with TestClient(build_app(studio, with_page=False), base_url="http://127.0.0.1") as client:
        rows = client.get("/v1/models").json()["data"]
        assert next((row["id"], row["ready"]) for row in rows if row["kind"] == "speech") == ("voxcpm:tiny", True)
        fields = {"text": "Hello world.", "prompt_text": "The old harbour.", "inference_timesteps": "2", "max_len": "6"}
        files = {"prompt_audio": ("me.wav", speech.read_bytes())}
        answer = client.post("/api/tts/stream", data={**fields, "seed": "5"}, files=files)
        assert answer.status_code == 200, answer.text
        again = client.post("/api/tts/stream", data={**fields, "seed": "5"}, files=files)
        assert answer.headers["x-seed"] == "5"
        assert answer.content == again.content
        assert decoded(answer.content)[0].size > 4410
        status = client.get("/api/gpu/status").json()
        assert status["models"][0]["key"] == "voxcpm:tiny"
        broken = client.post("/api/tts/stream", data=fields, files={"prompt_audio": ("me.wav", b"no sound")})
        assert broken.status_code == 400
        assert str(workspace) not in broken.text
        assert not list(studio.settings.cache_dir.glob("upload-*")), "uploads are gone with their request"
    studio.close()


def test_gpu_status_counts(client: TestClient) -> None:
    client.post("/api/tts", data={"text": "hello"})
    status = client.get("/api/gpu/status").json()
    assert status["device"]["kind"] in ("cpu", "cuda")
    assert status["speech"] == {"active": 0, "queued": 0, "limit": 4}


@pytest.fixture(scope="module")
def tight(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real server on a socket with room for one text and one waiting, in this process."""
    import socket

    import uvicorn

    from api.server import build_app
    from core.settings import load_settings
    from core.studio import Studio

    limits = {"max_speech": 1, "max_speech_queue": 1, "speech_deadline_s": 60}
    studio = Studio(load_settings({"workspace": str(tmp_path_factory.mktemp("tight")), **limits}, env={}))
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(build_app(studio, with_page=False), log_config=None))
    thread = threading.Thread(target=lambda: server.run(sockets=[listener]), daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    thread.join(30)
    studio.close()


def wait_for(url: str, active: int, queued: int) -> None:
    deadline = time.monotonic() + 60
    while (speaking := httpx.get(url + "/api/gpu/status", timeout=30).json()["speech"]) != {
        "active": active, "queued": queued, "limit": 1}:  # fmt: skip
        assert time.monotonic() < deadline, speaking
        time.sleep(0.05)


def test_the_queue_is_bounded_and_a_client_that_goes_makes_room(tight: str) -> None:
    long = {"text": "A long tale. " * 1500, "chunk_format": "pcm"}

    def until(active: int, queued: int) -> None:
        wait_for(tight, active, queued)

    with httpx.stream("POST", tight + "/api/tts/stream", data=long, timeout=60) as first:
        pieces = first.iter_bytes()  # kept: one that is let go closes the connection
        next(pieces)
        until(1, 0)
        second = threading.Thread(target=lambda: codes.append(httpx.post(tight + "/api/tts", data={"text": "hi"},
                                                                         timeout=120).status_code))  # fmt: skip
        codes: list[int] = []
        second.start()
        until(1, 1)
        third = httpx.post(tight + "/api/tts/stream", data={"text": "hi"}, timeout=60)
        assert third.status_code == 429
        assert int(third.headers["retry-after"]) >= 1
        late = httpx.get(tight + "/health", timeout=30)
        assert late.status_code == 200
    second.join(120)  # the first client went away in the middle: its turn went to the second
    assert codes == [200]
    until(0, 0)


def test_who_leaves_in_the_middle_of_events_makes_room_too(tight: str) -> None:
    asked = {"model": "builtin", "voice": "nova", "input": "A long tale. " * 1500, "stream_format": "sse",
             "response_format": "pcm"}  # fmt: skip
    with httpx.stream("POST", tight + "/v1/audio/speech", json=asked, timeout=60) as answer:
        pieces = answer.iter_lines()
        assert next(pieces).startswith("data: ")
        wait_for(tight, 1, 0)
    wait_for(tight, 0, 0)


def test_a_deadline_ends_a_request(tight: str) -> None:
    long = {"text": "A long tale. " * 1500}
    answer = httpx.post(tight + "/api/tts", data={**long, "timeout_s": "0.3"}, timeout=60)
    assert answer.status_code == 408
    assert httpx.post(tight + "/api/tts", data={"text": "hi"}, timeout=60).status_code == 200
