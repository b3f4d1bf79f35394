"""The documented client's way, from creation to downloaded audio, on a real server with real jobs."""

import io
import sys
import wave
from pathlib import Path
from typing import Any

import httpx
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "client"))
from timbre_client import CharacterClient, ServiceError, SpeechClient

CONFIG = {"language": "en", "batch_size": 4, "epochs_s2": 1, "epochs_s1": 1, "gpu_id": "0", "enable_denoise": False}


@pytest.fixture(scope="module")
def service(live: Any) -> CharacterClient:
    return CharacterClient(live.url)


def test_from_creation_to_downloaded_audio(service: CharacterClient, live: Any, speech: Path, tmp_path: Path) -> None:
    made = service.create_character("my_speaker", {**CONFIG, "steps": 4})
    assert made["character_name"] == "my_speaker"
    assert (made["audio_processing_status"], made["training_status"], made["is_default"]) == (
        "pending",
        "pending",
        True,
    )
    uploaded = service.upload_audio("my_speaker", speech)
    assert uploaded["filename"] == "woman.wav"
    assert service.audio_files("my_speaker")[0]["duration"] == pytest.approx(12, abs=6)

    begun = service.start("my_speaker", "audio")
    assert begun["status"] == "running"
    with pytest.raises(ServiceError) as busy:
        service.start("my_speaker", "audio")
    assert busy.value.status == 409
    assert busy.value.body["error"]["job_id"] == str(begun["job_id"])
    told: list[dict[str, object]] = []
    audio = service.wait(lambda: service.status("my_speaker", "audio"), 240, 0.3, told.append)
    assert (audio["status"], audio["progress"], audio["processed_audio_count"]) == ("completed", 100.0, 1), audio
    assert service.check_status("my_speaker", "audio")["status"] == "completed"

    service.start("my_speaker", "training")
    training = service.wait(lambda: service.status("my_speaker", "training"), 240, 0.3, told.append)
    assert training["status"] == "completed", training
    assert training["sovits_model_path"].startswith("models/")
    assert {one["current_step"] for one in told} & {"train_sovits", "extract_audio_features"}
    assert service.character("my_speaker")["model_exists"] is True

    spoken = service.start_inference("Hello there.", ref_language="中文", target_language="英文")
    assert spoken["status"] == "running"
    done = service.wait(lambda: service.inference(spoken["inference_id"]), 240, 0.3)
    assert done["status"] == "completed", done
    assert not Path(done["output_path"]).is_absolute()
    wav = service.download_inference(spoken["inference_id"], tmp_path / "spoken.wav")
    with wave.open(str(wav)) as sound:
        assert sound.getframerate() == 44100
        assert sound.getnframes() > 10_000
    named = service.download("my_speaker", Path(done["output_path"]).name, tmp_path / "again.wav")
    assert named.read_bytes() == wav.read_bytes()
    model = service.download("my_speaker", training["sovits_model_path"], tmp_path / "model.safetensors")
    assert model.stat().st_size > 100_000

    # The trained character converts an upload, too, and a job's events end with its result.
    speaking = SpeechClient(live.url)
    converted = speaking.convert(wav, "my_speaker", tmp_path / "converted.flac", format="flac")
    assert converted.read_bytes()[:4] == b"fLaC"
    events = list(speaking.job_events(done["job_id"]))
    assert (events[-1]["state"], events[-1]["progress"]) == ("completed", 100.0)

    # Another recording makes both outdated, for every process, and cleaning takes this character's models alone.
    sound = io.BytesIO()
    with wave.open(str(speech)) as source, wave.open(sound, "wb") as part:
        part.setparams(source.getparams())
        part.writeframes(source.readframes(3 * source.getframerate()))
    answer = httpx.post(
        f"{live.url}/api/v1/characters/my_speaker/audio/upload", files={"file": ("more.wav", sound.getvalue())}
    )
    assert answer.status_code == 200
    assert service.status("my_speaker", "audio")["status"] == "outdated"
    assert service.status("my_speaker", "training")["status"] == "outdated"
    assert service.check_status("my_speaker", "training")["status"] == "outdated"
    service.clean_training("my_speaker")
    assert service.character("my_speaker")["model_exists"] is False
    assert service.status("my_speaker", "training")["status"] == "pending"
    service.delete_character("my_speaker")
    assert service.inferences() == []
    with pytest.raises(ServiceError) as gone:
        service.character("my_speaker")
    assert gone.value.status == 404
