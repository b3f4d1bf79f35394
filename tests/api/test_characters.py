"""Characters over HTTP without running jobs: names, refusals, status from files and jobs, and what must not leak."""

import json
import threading
from dataclasses import replace
from email.message import Message
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import numpy as np
import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.downloads import download
from core.audio.encode import write_audio
from core.audio.synthetic import WOMAN, recording
from core.dataset.clips import ClipTable
from core.dataset.voices import VoiceStore
from core.settings import load_settings
from core.studio import Studio
from core.training.runs import RunInfo, create_run, list_runs

API = "/api/v1/characters"


def make(client: TestClient, name: str, **config: object) -> dict[str, Any]:
    answer = client.post(API, json={"character_name": name, "config": {"character_name": name, **config}})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def upload(client: TestClient, name: str, path: Path, said: str | None = None) -> str:
    answer = client.post(f"{API}/{name}/audio/upload", files={"file": (said or path.name, path.read_bytes())})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["filename"])


@pytest.mark.parametrize("name", ["小明", "bob-2_x", "Ünïcode", "ひらがな", "1"])
def test_documented_names_are_taken(client: TestClient, name: str) -> None:
    made = make(client, name)
    assert made["character_name"] == name
    assert client.get(f"{API}/{name}").json()["character_name"] == name


@pytest.mark.parametrize(
    "name", ["", " ", "../up", "a/b", "a\\b", "a.b", "a b", "_-", "con", "a\0b", "x" * 81, "..", "\u202eabc", "😀"]
)
def test_other_names_are_refused_and_make_nothing(client: TestClient, studio: Studio, name: str) -> None:
    answer = client.post(API, json={"character_name": name, "config": {}})
    assert answer.status_code == 400, answer.text
    assert answer.json()["detail"]
    assert studio.voices() == []


@pytest.mark.parametrize(
    "config",
    [{"batch_size": 0}, {"batch_size": "many"}, {"epochs_s2": 0}, {"epochs_s1": -1}, {"gpu_id": "../1"},
     {"gpu_id": "0-0"}, {"language": "klingon"}, {"engine": "gpt"}, {"engine": "gpt_sovits"}, {"epoch_s2": 3},
     {"character_name": "other"},
     {"preset": "lora"}, {"preset": "lite", "engine": "voxcpm"}],
)  # fmt: skip
def test_a_configuration_is_checked(client: TestClient, config: dict[str, object]) -> None:
    answer = client.post(API, json={"character_name": "bob", "config": config})
    assert answer.status_code == 422
    assert next(iter(config)) in answer.json()["error"]["message"]


def test_a_configuration_is_stored_and_survives(client: TestClient, studio: Studio) -> None:
    make(client, "bob", batch_size=7, epochs_s2=3, gpu_id="0-1-2", enable_denoise=False, language="中文")
    other = Studio(studio.settings)
    try:
        found = other.characters.info("bob")
    finally:
        other.close()
    assert (found.config.batch_size, found.config.epochs_s2, found.config.gpu_id) == (7, 3, "0-1-2")
    assert found.config.enable_denoise is False


def test_the_engine_brings_its_preset(client: TestClient, studio: Studio) -> None:
    make(client, "bob", engine="voxcpm", gpu_id="0-1")
    config = studio.characters.info("bob").config
    assert (config.engine, config.preset) == ("voxcpm", "lora")
    options = studio.characters._train_options("bob")
    assert (options["engine"], options["preset"]) == ("voxcpm", "lora")
    assert "devices" not in options, "there is no GPU here to name" if studio.status().device.kind == "cpu" else ""
    assert "base" not in options
    named = Studio(load_settings({"workspace": str(studio.settings.workspace), "speech_model": "/models/mine"}, env={}))
    assert named.characters._train_options("bob")["base"] == "/models/mine", "the VoxCPM that the settings name"
    named.close()


def test_duplicates_and_unknown_ones(client: TestClient) -> None:
    make(client, "bob")
    assert client.post(API, json={"character_name": "bob", "config": {}}).status_code == 400
    assert client.post(API, json={"character_name": "BOB", "config": {}}).status_code == 400, "one folder on Windows"
    for method, path in (
        ("get", ""), ("delete", ""), ("post", "/set_default"), ("get", "/audio/files"), ("post", "/audio/process"),
        ("get", "/audio/status"), ("get", "/audio/check_status"), ("post", "/audio/cancel"),
        ("post", "/training/start"), ("get", "/training/status"), ("get", "/training/check_status"),
        ("post", "/training/clean"), ("post", "/training/cancel"), ("get", "/download/x.wav"),
    ):  # fmt: skip
        assert getattr(client, method)(f"{API}/nobody{path}").status_code == 404, path
    assert client.put(f"{API}/nobody", json={"new_name": "x"}).status_code == 404
    assert client.get("/api/v1/inference/no-such-id").status_code == 404
    assert client.get("/api/v1/inference/no-such-id/download").status_code == 404
    said = client.post("/api/v1/inference", json={"character_name": "nobody", "target_text": "hi"})
    assert said.status_code == 404


def test_the_default_follows_names_and_deletions(client: TestClient, studio: Studio) -> None:
    assert client.get("/api/v1/default_character").json() == {"default_character": None}
    make(client, "ann")
    make(client, "bob")
    assert client.get("/api/v1/default_character").json() == {"default_character": "ann"}
    assert client.post(f"{API}/bob/set_default").json()["success"] is True
    studio.rename_voice("bob", "rob")  # the page does so
    assert client.get("/api/v1/default_character").json() == {"default_character": "rob"}
    assert client.delete(f"{API}/rob").status_code == 200
    assert client.get("/api/v1/default_character").json() == {"default_character": "ann"}


def test_a_voice_of_the_page_is_a_character_and_back(client: TestClient, studio: Studio, speech: Path) -> None:
    studio.create_voice("Page voice")
    studio.add_recordings("Page voice", [speech])
    assert client.get(f"{API}/Page voice").json()["audio_count"] == 1
    assert client.post(f"{API}/Page voice/set_default").status_code == 200
    make(client, "service")
    assert {voice.name for voice in studio.voices()} == {"Page voice", "service"}


def test_a_second_start_names_the_job_also_when_both_come_at_once(client: TestClient, speech: Path) -> None:
    make(client, "bob", enable_denoise=False)
    assert client.post(f"{API}/bob/audio/process").status_code == 400, "there is no audio yet"
    assert client.post(f"{API}/bob/training/start").status_code == 400
    upload(client, "bob", speech)
    codes: list[int] = []
    threads = [
        threading.Thread(target=lambda: codes.append(client.post(f"{API}/bob/audio/process").status_code))
        for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(codes) == [200, 409, 409, 409, 409, 409]
    busy = client.post(f"{API}/bob/audio/process").json()
    status = client.get(f"{API}/bob/audio/status").json()
    assert (status["status"], status["current_step"]) == ("running", "queued")
    assert busy["error"]["job_id"] == str(status["job_id"])
    assert client.delete(f"{API}/bob").status_code == 409
    assert client.put(f"{API}/bob", json={"new_name": "rob"}).status_code == 409
    assert client.post(f"{API}/bob/training/start").status_code == 409
    assert client.post(f"{API}/bob/audio/cancel").json()["status"] == "cancelled"
    assert client.post(f"{API}/bob/audio/cancel").status_code == 400


def test_prefixes_are_other_characters(client: TestClient, studio: Studio) -> None:
    for name in ("bob", "bobby"):
        make(client, name)
        folder = studio.settings.voices_dir / name / "models" / f"{name}-lite"
        folder.mkdir(parents=True)
        (folder / "model.safetensors").write_bytes(b"x")
        (folder / "card.json").write_text(json.dumps({"voice": name, "step": 1, "created": 1.0}))
    assert client.post(f"{API}/bob/training/clean").status_code == 200
    assert client.get(f"{API}/bob").json()["model_exists"] is False
    assert client.get(f"{API}/bobby").json()["model_exists"] is True
    assert client.delete(f"{API}/bob").status_code == 200
    assert client.get(f"{API}/bobby").json()["model_exists"] is True


def test_runs_and_spoken_texts_go_along_and_no_others(client: TestClient, studio: Studio) -> None:
    runs = studio.settings.runs
    asked = {}
    for name in ("bob", "bobby"):
        make(client, name)
        model = studio.settings.voices_dir / name / "models" / "m"
        model.mkdir(parents=True)
        (model / "model.safetensors").write_bytes(b"x")
        (model / "card.json").write_text(json.dumps({"voice": name, "step": 1, "created": 1.0}))
        run = create_run(runs, f"{name}-lite", name, "lite")
        run.write(RunInfo(run.name, name, "lite", "builtin", state="completed", options={"voice": name}))
        said = client.post("/api/v1/inference", json={"character_name": name, "target_text": "hi"}).json()
        client.post(f"/api/v1/inference/{said['inference_id']}/cancel")
        asked[name] = said["inference_id"]

    def spoken() -> dict[str, str]:
        return {one["inference_id"]: one["character_name"] for one in client.get("/api/v1/inference").json()}

    assert client.put(f"{API}/bob", json={"new_name": "rob"}).status_code == 200
    assert {info.name: (info.voice, info.options["voice"]) for info in list_runs(runs)} == {
        "bob-lite": ("rob", "rob"), "bobby-lite": ("bobby", "bobby")}  # fmt: skip
    assert spoken() == {asked["bob"]: "rob", asked["bobby"]: "bobby"}
    assert client.get(f"{API}/rob").json()["model_exists"] is True
    assert client.get("/api/v1/default_character").json() == {"default_character": "rob"}
    assert client.delete(f"{API}/rob").status_code == 200
    assert [info.name for info in list_runs(runs)] == ["bobby-lite"]
    assert spoken() == {asked["bobby"]: "bobby"}
    assert client.get(f"{API}/bobby").json()["model_exists"] is True


def test_files_that_were_made_and_changed_tell_the_status(client: TestClient, studio: Studio, speech: Path) -> None:
    make(client, "bob")
    name = upload(client, "bob", speech)
    assert client.get(f"{API}/bob/audio/check_status").json()["status"] == "pending"
    studio.run_foreground("prep", {"voice": "bob"})  # the page's own preparation
    assert client.get(f"{API}/bob/audio/status").json()["status"] == "completed"
    assert client.delete(f"{API}/bob/audio/files/{name}").json()["success"] is True
    assert client.get(f"{API}/bob/audio/status").json()["status"] == "outdated"
    assert client.get(f"{API}/bob").json()["audio_processing_status"] == "outdated"
    assert client.delete(f"{API}/bob/audio/files/{name}").status_code == 404


def test_a_namesake_inherits_nothing(client: TestClient, speech: Path) -> None:
    make(client, "bob")
    upload(client, "bob", speech)
    client.post(f"{API}/bob/audio/process")
    client.post(f"{API}/bob/audio/cancel")
    assert client.get(f"{API}/bob/audio/status").json()["status"] == "cancelled"
    client.delete(f"{API}/bob")
    make(client, "bob")
    assert client.get(f"{API}/bob/audio/status").json()["status"] == "pending"


@pytest.mark.parametrize(
    "said", ["../../../escape.wav", "/etc/escape.wav", "C:\\x\\escape.wav", "..", ".wav", "a" * 300 + ".wav", "con.wav",
             "x\r\nEvil: 1.wav", "语音 1.wav", "-rf.wav"],
)  # fmt: skip
def test_uploads_stay_inside(client: TestClient, studio: Studio, speech: Path, said: str) -> None:
    make(client, "bob")
    before = {path for path in studio.settings.workspace.rglob("*") if path.is_file()}
    kept = upload(client, "bob", speech, said)
    new = {path for path in studio.settings.workspace.rglob("*") if path.is_file()} - before
    raw = studio.settings.voices_dir / "bob" / "raw_audio"
    assert [path for path in new if path.suffix not in (".sqlite3-wal", ".sqlite3-shm")] == [raw / kept]


def test_the_same_bytes_are_kept_once_and_names_do_not_collide(
    client: TestClient, speech: Path, speech_man: Path
) -> None:
    make(client, "bob")
    assert upload(client, "bob", speech) == upload(client, "bob", speech, "again.wav") == "woman.wav"
    assert upload(client, "bob", speech_man, "woman.wav") == "woman (2).wav"
    assert len(client.get(f"{API}/bob/audio/files").json()) == 2


@pytest.mark.parametrize(
    ("path", "field"),
    [(f"{API}/bob/audio/upload", "file"), ("/api/v1/convert", "file"), ("/v1/audio/transcriptions", "file"),
     ("/api/tts/stream", "prompt_audio"), ("/api/tts", "prompt_audio")],
)  # fmt: skip
def test_of_two_files_in_one_field_none_is_dropped_in_silence(
    client: TestClient, speech: Path, path: str, field: str
) -> None:
    make(client, "bob")
    files = [(field, (f"{n}.wav", speech.read_bytes())) for n in (1, 2)]
    answer = client.post(path, files=files, data={"character_name": "bob", "text": "hi", "prompt_text": "hi"})
    assert answer.status_code == 400
    assert field in answer.json()["error"]["message"]
    assert client.get(f"{API}/bob/audio/files").json() == []


@pytest.mark.parametrize("content", [b"", b"RIFF", b"not a sound at all" * 100, b"\x80\x04cos\nsystem\n."])
def test_what_is_no_sound_is_refused(client: TestClient, content: bytes) -> None:
    make(client, "bob")
    answer = client.post(f"{API}/bob/audio/upload", files={"file": ("x.wav", content)})
    assert answer.status_code == 400
    assert client.get(f"{API}/bob/audio/files").json() == []
    assert client.post(f"{API}/bob/audio/upload").status_code == 422
    assert client.post(f"{API}/bob/audio/upload", data={"file": "text"}).status_code == 422


@pytest.mark.parametrize(
    "filename",
    [
        "../character.json",
        "character.json",
        "train.jsonl",
        "raw_audio",
        "%2e%2e/x",
        "/etc/passwd",
        "raw_audio/../character.json",
        "models/../../bob/character.json",
    ],
)
def test_downloads_are_of_the_character_alone(client: TestClient, speech: Path, filename: str) -> None:
    make(client, "bob")
    name = upload(client, "bob", speech)
    assert client.get(f"{API}/bob/download/{name}").content == speech.read_bytes()
    assert client.get(f"{API}/bob/download/{filename}").status_code == 404


@pytest.mark.parametrize(("said", "plain"), [("woman.wav", "woman.wav"), ("语音 1.wav", "__ 1.wav")])
def test_a_download_has_its_name_for_every_client(client: TestClient, speech: Path, said: str, plain: str) -> None:
    make(client, "bob")
    kept = upload(client, "bob", speech, said)
    saved = Message()
    saved["Content-Disposition"] = client.get(f"{API}/bob/download/{quote(kept)}").headers["content-disposition"]
    assert f'filename="{plain}"' in str(saved["Content-Disposition"])
    assert saved.get_filename() in (kept, plain)
    assert unquote(str(saved["Content-Disposition"]).rpartition("''")[2]) == kept
    odd = download(speech, 'a "b"\r\nX: %41.wav').headers["content-disposition"]
    assert odd.startswith("attachment; filename=\"a _b___X: _41.wav\"; filename*=utf-8''a%20%22b%22%0D%0AX")


def test_no_path_of_the_server_is_shown(client: TestClient, studio: Studio, speech: Path) -> None:
    make(client, "bob")
    upload(client, "bob", speech)
    client.post(f"{API}/bob/audio/process")
    for path in ("", "/audio/files", "/audio/status", "/training/status"):
        assert str(studio.settings.workspace) not in client.get(f"{API}/bob{path}").text


def test_inference_takes_no_paths_and_needs_words(client: TestClient, studio: Studio) -> None:
    make(client, "bob")
    ask = {"character_name": "bob", "target_text": "hello"}
    assert client.post("/api/v1/inference", json=ask).status_code == 400, "no model yet"
    folder = studio.settings.voices_dir / "bob" / "models" / "m"
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(b"x")
    (folder / "card.json").write_text(json.dumps({"voice": "bob", "step": 1, "created": 1.0}))
    assert client.post("/api/v1/inference", json={**ask, "ref_audio": "/etc/passwd"}).status_code == 404
    assert client.post("/api/v1/inference", json={**ask, "source_audio": "../x.wav"}).status_code == 404
    for bad in ({"target_text": " …"}, {"target_text": "x" * 5001}, {"target_language": "?"}, {"ref": 1}):
        assert client.post("/api/v1/inference", json={**ask, **bad}).status_code == 422
    one = client.post("/api/v1/inference", json={"target_text": "hello", "output_name": "../../x"}).json()
    two = client.post("/api/v1/inference", json={"target_text": "hello", "output_name": "../../x"}).json()
    jobs = [studio.job(each["job_id"]) for each in (one, two)]
    outs = {Path(job.params["out"]) for job in jobs}
    assert len(outs) == 2
    assert {out.parent for out in outs} == {studio.settings.outputs / "inference"}
    assert client.get(f"/api/v1/inference/{one['inference_id']}/download").status_code == 400
    assert client.post(f"/api/v1/inference/{one['inference_id']}/cancel").json()["status"] == "cancelled"
    assert [each["inference_id"] for each in client.get("/api/v1/inference").json()] == [
        two["inference_id"], one["inference_id"]]  # fmt: skip


def test_a_reference_is_found_checked_and_used(client: TestClient, studio: Studio, speech: Path) -> None:
    make(client, "bob")
    name = upload(client, "bob", speech)
    studio.run_foreground("prep", {"voice": "bob"})
    clip = studio.clips("bob")[0]
    folder = studio.settings.voices_dir / "bob"
    model = folder / "models" / "m"
    model.mkdir(parents=True)
    (model / "model.safetensors").write_bytes(b"x")
    (model / "card.json").write_text(json.dumps({"voice": "bob", "engine": "voxcpm", "created": 1.0}))
    ClipTable(VoiceStore(studio.settings.voices_dir).get("bob")).update(
        lambda clips: [replace(each, text="The old harbour.") for each in clips]
    )

    def ask(status: int = 200, **fields: str) -> dict[str, Any]:
        body = {"character_name": "bob", "target_text": "hello", **fields}
        answer = client.post("/api/v1/inference", json=body)
        assert answer.status_code == status, answer.text
        found: dict[str, Any] = answer.json()
        return studio.job(found["job_id"]).params if status == 200 else found

    for said in (name, f"raw_audio/{name}"):  # as the list of files has it, and as the upload answered
        params = ask(ref_audio=said, ref_text="What I say.")
        assert (params["ref_audio"], params["ref_text"]) == (f"raw_audio/{name}", "What I say.")
    params = ask(ref_audio=Path(clip.audio).name)
    assert (params["ref_audio"], params["ref_text"]) == (clip.audio, "The old harbour."), "its own transcript"
    assert "ref_audio" not in ask(ref_text="alone it has no use")
    sound, rate_hz = recording(0.6, WOMAN)
    write_audio(folder / "raw_audio" / "short.wav", sound[: rate_hz // 2], rate_hz, "wav", {})
    assert "short" in ask(400, ref_audio="short.wav")["error"]["message"]
    for outside in ("/etc/passwd", "../../x.wav", "character.json", str(speech)):
        ask(404, ref_audio=outside)


def test_a_body_beyond_the_bound_is_cut(workspace: Path) -> None:
    from api.server import build_app

    made = Studio(load_settings({"workspace": str(workspace), "max_upload_mb": 1}, env={}))
    with TestClient(build_app(made, with_page=False), base_url="http://127.0.0.1") as client:
        make(client, "bob")
        big = np.zeros(3 << 20, np.uint8).tobytes()
        assert client.post(f"{API}/bob/audio/upload", files={"file": ("x.wav", big)}).status_code == 413

        def pieces() -> Any:
            yield b'--x\r\nContent-Disposition: form-data; name="file"; filename="x.wav"\r\n\r\n'
            for _ in range(30):
                yield big[: 1 << 17]

        headers = {"content-type": "multipart/form-data; boundary=x"}
        answer = client.post(f"{API}/bob/audio/upload", content=pieces(), headers=headers)
        assert answer.status_code == 413, "a body of no stated length is counted"
        assert (
            client.post(API, content=b" " * (5 << 20), headers={"content-type": "application/json"}).status_code == 413
        )
        assert client.get(f"{API}/bob/audio/files").json() == []
    made.close()


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=40))
def test_any_text_as_a_name_is_answered(client: TestClient, name: str) -> None:
    path = quote(name.encode("utf-8", "surrogatepass"), safe="")
    assert client.get(f"{API}/{path}/audio/status").status_code in (404, 405)
    assert client.post(f"{API}/{path}/audio/process").status_code in (404, 405)
