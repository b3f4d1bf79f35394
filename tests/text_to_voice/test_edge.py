"""edge-tts against a stand-in for the service on this machine: a real websocket that speaks its protocol.

The protocol as the package edge-tts 7 uses it: two text messages come (speech.config, ssml); back go turn.start,
binary pieces of MP3 behind a length and headers, audio.metadata, turn.end. Only the address is another one.
"""

import html
import json
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest

from core.audio.encode import write_audio
from core.audio.resample import resample
from core.errors import BadInput, StudioError, Unavailable
from core.text_to_voice import edge
from core.text_to_voice.options import TextOptions
from core.text_to_voice.speakers import speak
from tests.training.material import sung_vowel

edge_tts = pytest.importorskip("edge_tts", reason="the optional package edge-tts is not installed")
RATE_HZ, SECONDS = 24000, 1.2


class Service:
    """What it was asked, and how it answers."""

    def __init__(self, sound: bytes) -> None:
        self.sound = sound
        self.asked: list[dict[str, str]] = []
        self.answer = "speak"

    def __call__(self, socket: Any) -> None:
        assert parse_qs(urlsplit(socket.request.path).query).keys() >= {"ConnectionId", "Sec-MS-GEC"}
        config, ssml = socket.recv(), socket.recv()
        assert "Path:speech.config" in config
        assert json.loads(config.split("\r\n\r\n", 1)[1])["context"]["synthesis"]["audio"]["outputFormat"]
        assert "Path:ssml" in ssml
        found = re.search(r"<voice name='([^']*)'>.*?rate='([^']*)'.*?>(.*?)</prosody>", ssml, re.DOTALL)
        assert found is not None, ssml
        self.asked.append({
            "voice": found[1], "rate": found[2], "text": html.unescape(found[3]),
        })  # fmt: skip
        if self.answer == "hang up":
            socket.close()
            return
        socket.send("X-RequestId:1\r\nPath:turn.start\r\n\r\n{}")
        headers = b"X-RequestId:1\r\nContent-Type:audio/mpeg\r\nPath:audio\r\n"
        for at in range(0, len(self.sound), 720) if self.answer == "speak" else ():
            socket.send(len(headers).to_bytes(2, "big") + headers + self.sound[at : at + 720])
        data = {"Offset": 0, "Duration": int(SECONDS * 1e7), "text": {"Text": "Good evening."}}
        metadata = json.dumps({"Metadata": [{"Type": "SentenceBoundary", "Data": data}]})
        socket.send(f"X-RequestId:1\r\nPath:audio.metadata\r\n\r\n{metadata}")
        socket.send("X-RequestId:1\r\nPath:turn.end\r\n\r\n{}")


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    from websockets.sync.server import serve

    file = write_audio(tmp_path / "said.mp3", resample(sung_vowel(SECONDS), 44100, RATE_HZ), RATE_HZ, "mp3")
    made = Service(file.read_bytes())
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "127.0.0.1")
    with serve(made, "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        address = f"ws://127.0.0.1:{server.socket.getsockname()[1]}/edge/v1?TrustedClientToken=x"
        monkeypatch.setattr("edge_tts.communicate.WSS_URL", address)
        yield made
        server.shutdown()
        thread.join()


def said(**more: Any) -> tuple[np.ndarray, int]:
    language = str(more.pop("language", "en"))
    return speak(TextOptions(voice="-", engine="edge", **{"text": "Good evening.", **more}), language, 220.0)


def test_what_is_asked_arrives_and_what_is_spoken_comes_back(service: Service) -> None:
    audio, rate_hz = said(text="Tom & Ann < Bo", rate=1.25, volume_db=-6.0)
    assert audio.size / rate_hz == pytest.approx(SECONDS, abs=0.15)
    assert 0.02 < float(np.abs(audio).max()) < 0.55
    (asked,) = service.asked
    assert asked["rate"] == "+25%"
    assert "AriaNeural" in asked["voice"]  # a woman's, since the trained voice is high
    assert html.unescape(asked["text"]) == "Tom & Ann < Bo"


@pytest.mark.parametrize(
    ("more", "voice"),
    [
        ({"language": "zh", "text": "晚上好。", "speaker": "man"}, "Yunxi"),
        ({"language": "de", "speaker": "woman"}, "Katja"),
        ({"language": "xx", "speaker": "en-GB-SoniaNeural"}, "Sonia"),
    ],
)
def test_voices_by_language_and_by_name(service: Service, more: dict[str, str], voice: str) -> None:
    said(**more)
    assert voice in service.asked[0]["voice"]


def test_a_long_text_goes_in_parts(service: Service) -> None:
    audio, rate_hz = said(text="One two three four. " * 300)
    assert len(service.asked) == 2
    assert audio.size / rate_hz == pytest.approx(2 * SECONDS, abs=0.3)


@pytest.mark.parametrize(("answer", "words"), [("nothing", "said nothing in the voice"), ("hang up", "said nothing")])
def test_a_service_that_gives_no_sound(service: Service, answer: str, words: str) -> None:
    service.answer = answer
    with pytest.raises(Unavailable, match=words) as problem:
        said()
    assert "offline" in problem.value.hint


def test_offline_it_says_so_and_what_works(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge_tts.communicate.WSS_URL", "ws://127.0.0.1:9/edge?x=1")  # nobody listens there
    with pytest.raises(Unavailable, match="seems to be offline") as problem:
        said()
    assert "espeak-ng" in problem.value.hint
    assert "0x" not in problem.value.message  # no object of the library's


def test_what_is_no_voice_is_said(service: Service) -> None:
    for more, words in (({"speaker": "Aria"}, "no voice of the service"), ({"language": "xx"}, "No voice is known")):
        with pytest.raises(BadInput, match=words):
            said(**more)
    assert service.asked == []


def test_every_refusal_is_words() -> None:
    class Refused(Exception):
        status = 403

    assert edge._words(Refused("x"), "v") == "The speech service refused the request (HTTP 403)."
    assert "in time" in edge._words(TimeoutError(), "v")
    assert edge._words(StudioError("a\nb"), "v").endswith("a b.")
