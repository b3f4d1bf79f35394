"""`app.py say` with a tiny model, in this process: what it writes, what it answers, what it refuses."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.audio.encode import read_wav
from core.dataset.clips import Clip, ClipTable
from core.dataset.voices import VoiceStore
from core.engines.voxcpm import package

Say = Callable[..., dict[str, Any]]
TEXT = "Hello world, this is a short test of speech."


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not package.installed():
        pytest.skip('the package voxcpm is not installed (pip install --no-deps "voxcpm>=2.0.3,<2.1")')
    from tests.engines.voxcpm.tiny import build

    return build(tmp_path_factory.mktemp("models") / "tiny2", "voxcpm2")


@pytest.fixture
def clip_file(tmp_path: Path, write_wav: Callable[[Path, np.ndarray, int], Path]) -> Path:
    at = np.arange(48000) / 16000
    swell = np.clip(np.sin(2 * np.pi * 2 * at), 0, 1)
    return write_wav(tmp_path / "clip.wav", 0.4 * swell * np.sin(2 * np.pi * 180 * at), 16000)


@pytest.fixture
def say(workspace: Path, capfd: pytest.CaptureFixture[str]) -> Say:
    """`say(*words) -> answer`: the command's JSON line."""
    from cli.main import main

    def call(*words: str) -> dict[str, Any]:
        stdout = os.dup(1)
        try:
            quick = ("--set", "steps=2", "--set", "max_patches=5", "--set", "retries=0")
            code = main(["say", *words, "--workspace", str(workspace), "--device", "cpu", "--json", *quick])
        finally:
            os.dup2(stdout, 1)  # the command points it elsewhere, for the life of its process
            os.close(stdout)
        lines = capfd.readouterr().out.strip().splitlines()
        assert len(lines) == 1, lines
        answer: dict[str, Any] = json.loads(lines[0])
        assert answer["ok"] == (code == 0)
        return answer

    return call


def test_whole_streamed_and_made_again(say: Say, model: Path, tmp_path: Path) -> None:
    common = (TEXT, "--engine", "voxcpm", "--model", str(model), "--seed", "5")
    whole = say(*common, "--out", str(tmp_path / "a.wav"))
    live = say(*common, "--stream", "--out", str(tmp_path / "b.wav"))
    audio, rate_hz = read_wav(tmp_path / "a.wav")
    streamed, _ = read_wav(tmp_path / "b.wav")
    assert (whole["sample_rate"], whole["seed"], whole["sentences"]) == (rate_hz, 5, 1)
    assert whole["seconds"] == pytest.approx(audio.size / rate_hz, abs=0.001)
    assert live["chunks"] > whole["chunks"] == 1
    assert live["first_chunk_s"] > 0
    assert whole["rtf"] > 0
    np.testing.assert_allclose(streamed, audio, atol=2e-4)

    from core.jobs.context import ForegroundContext
    from core.settings import load_settings
    from core.speech.say import run_say

    params = json.loads(Path(whole["sidecar"]).read_text("utf-8"))["params"]
    settings = load_settings({"workspace": str(tmp_path), "device": "cpu"})
    run_say({**params, "out": str(tmp_path / "c.wav")}, ForegroundContext(settings))
    assert (tmp_path / "c.wav").read_bytes() == (tmp_path / "a.wav").read_bytes()


def test_voices_and_clips(say: Say, model: Path, tmp_path: Path, workspace: Path, clip_file: Path) -> None:
    out = ("--model", str(model), "--seed", "1", "--out", str(tmp_path / "a.flac"))
    cloned = say(TEXT, *out, "--prompt-audio", str(clip_file), "--prompt-text", "The quick brown fox.")
    assert cloned["prompt"]["text"] == "The quick brown fox."
    both = say(
        TEXT, *out, "--prompt-audio", str(clip_file), "--prompt-text", "The quick brown fox.", "--set", "mode=both"
    )
    assert (both["ok"], both["prompt"]["text"]) == (True, "The quick brown fox.")
    alone = say(TEXT, *out, "--prompt-audio", str(clip_file))
    assert alone["prompt"]["text"] == ""
    voice = VoiceStore(workspace / "voices").create("安娜")
    voice.sliced.mkdir(parents=True, exist_ok=True)
    (voice.sliced / "c.wav").write_bytes(clip_file.read_bytes())
    ClipTable(voice).save(
        [Clip("c", "sliced_audio/c.wav", "r", 0, 3, 3.0, -20, -3, 30.0, 0.0, "0" * 64, text="Hi fox.")]
    )
    answer = say(TEXT, *out, "--voice", "安娜")
    assert answer["prompt"]["file"].endswith("c.wav")
    assert [path.name for path in (voice.path / "prompts").iterdir()] == ["c.voxcpm-continuation.safetensors"]


def test_a_clip_without_its_noise(say: Say, model: Path, tmp_path: Path, workspace: Path, speech: Path) -> None:
    out = ("--model", str(model), "--seed", "1", "--prompt-text", "The harbour wakes before the sun.")
    loud, quiet = (
        say(TEXT, *out, "--prompt-audio", str(speech), "--out", str(tmp_path / f"{number}.wav"), *more)
        for number, more in enumerate([(), ("--denoise",)])
    )
    assert loud["prompt"]["file"] == quiet["prompt"]["file"] == str(speech)
    assert (tmp_path / "0.wav").read_bytes() != (tmp_path / "1.wav").read_bytes()
    assert list((workspace / "cache").glob("prompt-*")) == [], "the copy without noise is gone"


def test_files_and_subtitles(say: Say, model: Path, tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_bytes("你好，世界。今天天气很好，我们去公园。".encode("gb18030"))
    out = ("--model", str(model), "--seed", "1", "--out", str(tmp_path / "a.wav"))
    assert say("--file", str(tmp_path / "t.txt"), *out)["sentences"] >= 1
    cues = "1\n00:00:01,000 --> 00:00:03,000\nHello world.\n\n2\n00:00:05,000 --> 00:00:08,000\nA short test.\n"
    (tmp_path / "t.srt").write_text(cues, "utf-8")
    answer = say("--srt", str(tmp_path / "t.srt"), *out)
    audio, rate_hz = read_wav(tmp_path / "a.wav")
    assert answer["sentences"] == 2
    assert not audio[: rate_hz - 100].any()
    assert audio[5 * rate_hz : 6 * rate_hz].any()


def test_what_is_refused_before_anything_is_loaded(say: Say, tmp_path: Path, model: Path) -> None:
    out = ("--model", str(model), "--out", str(tmp_path / "a.wav"))
    (tmp_path / "big.txt").write_text("a" * 2**20)
    (tmp_path / "empty.txt").write_bytes(b"\x00\x01")
    cases = {
        ("",): "nothing to say",
        ("\x01\x02 🎉",): "nothing to say",
        ("--file", str(tmp_path / "big.txt")): "1,048,576",
        ("--file", str(tmp_path / "empty.txt")): "nothing to say",
        ("--file", str(tmp_path / "no.txt")): "cannot be read",
        (TEXT, "--engine", "nobody"): "no speech engine",
        (TEXT, "--voice", "nobody"): "nobody",
        (TEXT, "--set", "stepz=3"): "stepz",
        (TEXT, "--prompt-text", "x"): "prompt_audio",
    }
    for words, expected in cases.items():
        assert expected in say(*words, *out)["error"]["message"], words
    assert say(TEXT, "--model", "voxcpm9", "--out", out[3])["error"]["code"] == "not_found"
    assert say(TEXT, "--model", str(tmp_path), "--out", out[3])["error"]["code"] == "model_file"
    assert not (tmp_path / "a.wav").exists()


def test_names_of_models(tmp_path: Path) -> None:
    from core.engines.voxcpm.models import MODELS, find_model
    from core.errors import Unavailable
    from core.settings import load_settings

    settings = load_settings({"workspace": str(tmp_path), "pretrain_dir": str(tmp_path)})
    for name in ("", "VoxCPM2"):
        with pytest.raises(Unavailable, match="is not on this machine") as caught:
            find_model(settings, name)
        assert "pretrain/voxcpm" in caught.value.hint
    folder = tmp_path / MODELS[1].folder
    folder.mkdir(parents=True)
    for name in ("config.json", "model.safetensors", "audiovae.pth", "tokenizer.json"):
        (folder / name).write_text("x")
    assert find_model(settings, "") == find_model(settings, "voxcpm1.5") == folder
    assert find_model(settings, str(tmp_path)) == tmp_path
