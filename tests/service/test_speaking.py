"""A character speaks by the model that was trained last: VoxCPM by itself, a converter through built-in speech."""

import json
from pathlib import Path

import pytest
import soundfile

from core.dataset.voices import VoiceStore
from core.engines.voxcpm import package
from core.jobs.context import ForegroundContext
from core.service import status
from core.service.speaking import run_speech
from core.settings import load_settings


@pytest.mark.parametrize("architecture", ["voxcpm2"])
def test_a_fine_tuned_voice_speaks_by_itself(architecture: str, workspace: Path, tmp_path: Path, speech: Path) -> None:
    if not package.installed():
        pytest.skip("the package voxcpm is not installed")
    from core.speech.voice_prompt import set_reference
    from tests.engines.voxcpm.tiny import build

    settings = load_settings({"workspace": str(workspace), "device": "cpu"}, env={})
    voice = VoiceStore(settings.voices_dir).create("ann")
    set_reference(voice, speech, "The old harbour.")
    model = build(voice.models / "tuned", architecture, max_length=160)
    (model / "card.json").write_text(json.dumps({"engine": "voxcpm", "created": 2.0}), encoding="utf-8")
    (newest,) = status.trained(voice)
    assert newest.weights.name == "model.safetensors"
    out = tmp_path / "said.wav"
    params = {"voice": "ann", "text": "Hello world.", "language": "en", "out": str(out), "seed": 3}
    result = run_speech(params, ForegroundContext(settings))
    assert result["output"] == str(out)
    assert result["engine"] == "voxcpm"
    assert Path(result["model"]) == voice.models / "tuned"
    assert soundfile.info(out).duration > 0.1
    assert result["prompt"]["text"] == "The old harbour."
    named = VoiceStore(settings.voices_dir).get("ann").raw / "mine.wav"
    named.write_bytes(speech.read_bytes())
    for words, kept in (("Boats come back.", "Boats come back."), ("", "")):
        mine = {**params, "ref_audio": "raw_audio/mine.wav", "ref_text": words}
        prompt = run_speech(mine, ForegroundContext(settings))["prompt"]
        assert (Path(prompt["file"]).name, prompt["text"]) == ("mine.wav", kept), "the clip that was named"
