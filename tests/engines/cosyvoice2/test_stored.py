"""Stored speakers from the command, the service and the desk: heard once, used without hearing again, never lost."""

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from fastapi.testclient import TestClient

from api.server import build_app
from core.engines.cosyvoice2.hearing import Ears
from core.errors import BadInput, Conflict, NotFound
from core.settings import load_settings
from core.speech.request import SpeechRequest
from core.studio import Studio
from tests.cli.conftest import Command
from tests.engines.cosyvoice2 import tiny_folder


@pytest.fixture
def studio(workspace: Path, folder: Path) -> Iterator[Studio]:
    values = {"workspace": str(workspace), "speech_model": f"cosyvoice2:{folder}", "device": "cpu"}
    made = Studio(load_settings(values, env={}))
    made.create_voice("Ann")
    yield made
    made.close()


@pytest.fixture
def client(studio: Studio) -> Iterator[TestClient]:
    with TestClient(build_app(studio, with_page=False), base_url="http://127.0.0.1") as made:
        yield made


def spoken(studio: Studio, **options: object) -> np.ndarray:
    request = SpeechRequest(text="Hello", engine="cosyvoice2", voice="Ann", options={"seed": 4, **options})
    with studio.speech.service.open(request) as session:
        return session.speak("Hello").audio


def test_a_stored_speaker_is_used_without_hearing_it_again(
    studio: Studio, speech: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = studio.speech.stored("Ann")
    clip = tmp_path / "clip.wav"
    clip.write_bytes(speech.read_bytes())
    about = desk.add("calm 静", clip, "The old harbour.")
    assert (about.name, about.text) == ("calm 静", "The old harbour.")
    assert about.seconds > 1
    with pytest.raises(Conflict):
        desk.add("calm 静", clip)
    studio.speech.keep_reference("Ann", clip, "The old harbour.")
    by_clip = spoken(studio)
    clip.unlink()
    for path in (studio.settings.voices_dir / "Ann" / "prompts").iterdir():
        path.unlink()

    def deaf(*_: object) -> None:
        raise AssertionError("a stored speaker was heard again")

    monkeypatch.setattr(Ears, "tokens", deaf)
    monkeypatch.setattr(Ears, "embedding", deaf)
    np.testing.assert_array_equal(spoken(studio, stored="calm 静"), by_clip)


def test_what_cannot_be_used_is_told(studio: Studio, speech: Path, tmp_path: Path) -> None:
    desk = studio.speech.stored("Ann")
    with pytest.raises(BadInput, match="needs a name"):
        desk.add(" ", speech)
    with pytest.raises(BadInput, match="no accepted clip"):
        desk.add("best")
    assert desk.all() == []
    asked = SpeechRequest(text="Hi", engine="cosyvoice2", voice="Ann", options={"stored": "gone"})
    with pytest.raises(NotFound, match="no speaker 'gone'"):
        studio.speech.checked(asked)
    with pytest.raises(NotFound):
        studio.speech.stored("nobody")
    desk.add("me", speech)
    both = SpeechRequest(text="Hi", engine="cosyvoice2", prompt_audio=speech, options={"stored": "me"})
    with pytest.raises(BadInput, match="not both"), studio.speech.service.open(both):
        pass
    alone = SpeechRequest(text="Hi", engine="cosyvoice2", options={"stored": "me"})
    with pytest.raises(BadInput, match="is a voice's"), studio.speech.service.open(alone):
        pass
    # Another model's tokens mean something else.
    other = tiny_folder.write(tmp_path / "Fun-CosyVoice3-tiny", version=3)
    ears = other / "campplus.onnx"
    ears.write_bytes(ears.read_bytes() + b"\x12\x01x")  # a producer's name: the same network in another file
    from core.engines.cosyvoice2.engine import load

    with pytest.raises(Conflict, match="another model"):
        load(other).stored(studio.settings.voices_dir / "Ann", "me")


def test_the_service_adds_renames_and_deletes(client: TestClient, studio: Studio, speech: Path) -> None:
    place = "/api/voices/Ann/speakers"
    assert client.get(place).json() == []
    made = client.post(place, data={"speaker": "calm", "text": "Hi."}, files={"clip": ("a.wav", speech.read_bytes())})
    assert made.status_code == 201, made.text
    assert made.json() == {"name": "calm", "seconds": made.json()["seconds"], "text": "Hi."}
    again = client.post(place, data={"speaker": "calm"}, files={"clip": ("a.wav", speech.read_bytes())})
    assert again.status_code == 409
    assert client.patch(f"{place}/calm", json={"name": "soft"}).json()["name"] == "soft"
    assert [one["name"] for one in client.get(place).json()] == ["soft"]
    assert client.delete(f"{place}/calm").status_code == 404
    assert client.delete(f"{place}/soft").status_code == 204
    assert client.get(place).json() == []
    (kept,) = (studio.settings.voices_dir / "Ann" / "speakers" / ".trash").iterdir()
    assert kept.name.startswith("soft")
    assert client.get("/api/voices/nobody/speakers").status_code == 404


def test_the_service_speaks_with_the_engines_own_settings(client: TestClient, studio: Studio, speech: Path) -> None:
    studio.speech.stored("Ann").add("calm", speech, "Hi.")

    def said(**own: object) -> httpx.Response:
        data = {"text": "Hello", "model": "cosyvoice2", "voice": "Ann", "seed": "4", "chunk_format": "pcm",
                "sample_rate": "0", "options": json.dumps({"stored": "calm", **own})}  # fmt: skip
        return client.post("/api/tts", data=data)

    plain, slow = said(), said(speed=0.5)
    expected = spoken(studio, stored="calm")
    assert plain.status_code == 200, plain.text
    assert len(plain.content) == 2 * expected.size
    assert len(slow.content) == 4 * expected.size
    for own, word in (({"sped": 1}, "sped"), ({"first_hop": 99}, "first_hop"), ({"token_hop_len": 30}, "25")):
        refused = said(**own)
        assert refused.status_code == 400
        assert word in refused.text
    broken = client.post("/api/tts", data={"text": "Hi", "model": "cosyvoice2", "options": "[1]"})
    assert "JSON object" in broken.json()["error"]["message"]
    start = {"type": "start", "model": "cosyvoice2", "options": {"scene": "conversation", "preset": "stored"}}
    with client.websocket_connect("/api/tts/ws", headers={"host": "127.0.0.1"}) as socket:
        for message in (start, {"type": "text", "text": "Hel"}, {"type": "text", "text": "lo"}, {"type": "end"}):
            socket.send_json(message)
        assert socket.receive_json()["type"] == "started"
        heard = 0
        while (message := socket.receive()).get("text") is None:
            heard += len(message["bytes"])
        assert heard > 0
        assert json.loads(message["text"])["type"] == "done"


def test_the_command_adds_renames_deletes_and_speaks(
    capfd: pytest.CaptureFixture[str], folder: Path, workspace: Path, speech: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    command = Command(workspace, capfd)
    monkeypatch.setenv("TIMBRE_SPEECH_MODEL", f"cosyvoice2:{folder}")
    command("voices", "--create", "Ann")
    assert "--add-speaker Ann NAME" in command("voices", "--speakers", "Ann")[0]
    out, err = command("voices", "--add-speaker", "Ann", "calm", "--clip", str(speech), "--words", "Hi.")
    assert "Stored calm" in err
    assert "Hi." in out
    assert "soft" in command("voices", "--rename-speaker", "Ann", "calm", "soft")[0]
    model = ("--engine", "cosyvoice2", "--model", str(folder), "--seed", "4", "--device", "cpu")
    for words in (("--voice", "Ann", "--speaker", "soft"), ("--speaker", "girl"), ("--set", "scene=reading")):
        command("say", "Hello", *model, *words, "--out", str(tmp_path / "a.wav"))
        assert (tmp_path / "a.wav").stat().st_size > 1000
    assert "nobody" in command("say", "Hi", *model, "--speaker", "nobody", "--out", str(tmp_path / "b.wav"), code=1)[1]
    command("voices", "--delete-speaker", "Ann", "soft")
    assert command("voices", "--delete-speaker", "Ann", "soft", code=1)
