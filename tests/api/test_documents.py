"""The sample programs of both documents, run as they are printed there: the only change is the address."""

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import soundfile

from core.audio.encode import write_audio
from core.audio.synthetic import MAN, WOMAN, recording

PATIENCE_S = 900


def programs(document: Path, language: str) -> list[str]:
    """The code blocks of a Markdown file."""
    return re.findall(rf"```{language}\n(.*?)```", document.read_text("utf-8", "replace"), re.DOTALL)


def run(program: str, folder: Path, *replaced: tuple[str, str]) -> str:
    for old, new in replaced:
        assert old in program
        program = program.replace(old, new)
    file = folder / "sample.py"
    file.write_text(program, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-X", "utf8", str(file)], cwd=folder, capture_output=True, text=True, timeout=PATIENCE_S
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.timeout(PATIENCE_S + 300)  # 350 steps of training
def test_the_character_service(server: Callable[..., Any], shared_dir: Path, tmp_path: Path) -> None:
    """From creation to an inference, with the document's own settings: 50 epochs, batches of 16, denoising."""
    (program,) = [one for one in programs(shared_dir / "seeds" / "001_gpt_sovits_training_service.md", "python")
                  if "class GPTSoVITSClient" in one]  # fmt: skip
    for n in (1, 2, 3):
        audio, rate_hz = recording(20.0, replace(WOMAN, pitch=WOMAN.pitch + n))
        write_audio(tmp_path / f"audio{n}.wav", audio, rate_hz, "wav", {})
    live = server(tmp_path / "ws")
    said = run(program, tmp_path, ("http://localhost:8000", live.url))
    for line in ("角色创建成功: my_speaker", "上传成功: audio3.wav", "音频处理完成", "训练完成", "推理ID: "):
        assert line in said, said
    number = said.rpartition("推理ID: ")[2].split()[0]
    address = f"{live.url}/api/v1/inference/{number}"
    while (status := httpx.get(address).json())["status"] in ("pending", "running"):
        time.sleep(0.5)
    assert status["status"] == "completed", status
    (tmp_path / "spoken.wav").write_bytes(httpx.get(address + "/download").content)
    assert soundfile.info(tmp_path / "spoken.wav").duration > 1.0


def test_streaming_speech(server: Callable[..., Any], tiny: Path, shared_dir: Path, tmp_path: Path) -> None:
    """Both Python samples of the streaming document, plain and cloned, with a tiny VoxCPM."""
    (tmp_path / "ws").mkdir()
    (tmp_path / "ws" / "settings.toml").write_text(f"speech_model = {json.dumps(str(tiny))}\n", encoding="utf-8")
    live = server(tmp_path / "ws")
    audio, rate_hz = recording(6.0, MAN)
    write_audio(tmp_path / "reference.wav", audio[: 5 * rate_hz], rate_hz, "wav", {})
    samples = programs(shared_dir / "seeds" / "004_voxcpm_streaming_api.partly_decoded.md", "python")
    assert len(samples) == 2
    run(samples[0], tmp_path, ("http://localhost:7861", live.url))
    run("import requests\n" + samples[1], tmp_path, ("http://localhost:7861", live.url))
    for name in ("output.wav", "cloned.wav"):
        heard = soundfile.info(tmp_path / name)
        assert (heard.format, heard.subtype, heard.samplerate) == ("WAV", "PCM_16", 44100)
        assert heard.duration > 0.2
