"""The optional backend: without its package a sentence; with it, our side of the wire. The package itself needs a GPU,
so a stand-in with its documented interface is imported in its place."""

import sys
from pathlib import Path

import numpy as np
import pytest

from core.engines.voxcpm import nano
from core.engines.voxcpm.nano_models import NanoOptions, find_model, installed
from core.errors import BadInput, Cancelled, Conflict, ModelFileError, Unavailable
from core.settings import load_settings
from core.speech import registry
from core.speech.chunk import joined
from core.speech.prompt import ReferenceClip

STAND_IN = """
import asyncio, numpy as np
open_streams = set()

class VoxCPM:
    @staticmethod
    def from_pretrained(model, devices, max_num_seqs, gpu_memory_utilization):
        asyncio.get_running_loop()  # as the package decides between its two pools
        return Pool(model)

class Pool:
    def __init__(self, model): self.model = model
    async def wait_for_ready(self):
        if self.model.endswith("broken"): raise RuntimeError("Traceback ...\\nCUDA error: no kernel image")
    async def get_model_info(self):
        return {"sample_rate": 48000, "encoder_sample_rate": 16000, "model_path": self.model}
    async def encode_latents(self, wav, wav_format): return wav[-8:]
    async def stop(self): pass
    async def generate(self, target_text, prompt_latents=None, prompt_text="", max_generate_length=2000, cfg_value=2.0,
                       ref_audio_latents=None, seed=None):
        open_streams.add(target_text)
        try:
            for n in range(3):
                await asyncio.sleep(0)
                yield np.full(4, len(target_text) + len(prompt_text) / 100 + seed / 1000 + n, np.float32)
        finally:
            open_streams.discard(target_text)
"""
TEXT = "The harbour wakes before the sun. Boats slip out past the wall."


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "nanovllm_voxcpm.py").write_text(STAND_IN, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "nanovllm_voxcpm", raising=False)
    return tmp_path


@pytest.mark.skipif(installed(), reason="nano-vllm-voxcpm is installed")
def test_without_the_package_a_sentence(tmp_path: Path) -> None:
    settings = load_settings({"workspace": str(tmp_path)}, env={})
    with pytest.raises(Unavailable, match="not installed") as caught:
        find_model(settings)
    assert "pip install" in caught.value.hint
    with pytest.raises(Unavailable, match="not installed"):
        registry.load_engine("nanovllm", tmp_path, "cuda:0")
    assert registry.released_here("nanovllm", settings) == []


def test_sessions_share_a_server(package: Path) -> None:
    engine = nano.load(package / "model", "cuda:0")
    import nanovllm_voxcpm

    clip = ReferenceClip(np.zeros(1600, np.float32), 16000, "Said.", "0", package / "c.wav")
    prompt = engine.prompt(clip)
    options = NanoOptions(seed=1, pause_ms=1)
    alone = joined(engine.stream(TEXT, options, prompt))
    assert alone.size == 2 * 3 * 4 + 48
    assert alone[0] == pytest.approx(33 + 0.06 + 0.001)
    streams = [engine.stream(TEXT, options, prompt), engine.stream(iter([TEXT[:9], TEXT[9:]]), options, prompt)]
    heard = [joined(stream) for stream in (streams[1], streams[0])]
    for sound in heard:
        np.testing.assert_array_equal(sound, alone)
    session = engine.session(options)
    stream = session.stream(TEXT)
    next(stream)
    assert nanovllm_voxcpm.open_streams
    with pytest.raises(Conflict, match="speaking"):
        engine.unload()
    session.cancel()
    with pytest.raises(Cancelled):
        list(stream)
    assert not nanovllm_voxcpm.open_streams, "the server is told"
    with pytest.raises(BadInput, match="description"):
        engine.session(NanoOptions(description="deep"), prompt)
    with pytest.raises(BadInput, match="nothing to say"):
        engine.speak("…")
    engine.unload()


def test_what_cannot_be_loaded(package: Path) -> None:
    with pytest.raises(Unavailable, match="GPU"):
        nano.load(package / "model", "cpu")
    with pytest.raises(Unavailable, match="no kernel image"):
        nano.load(package / "broken", "cuda:0")
    (package / "lora_config.json").write_text("{}", encoding="utf-8")
    with pytest.raises(ModelFileError, match="is a LoRA"):
        nano.load(package, "cuda:0")
