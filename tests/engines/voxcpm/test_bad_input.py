"""What people throw at it: every bad text, clip, model and accident ends in sound or in a sentence, and the next
request is as if nothing had been."""

import asyncio
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from core.engines.voxcpm.options import VoxOptions
from core.errors import BadInput, ModelFileError, StudioError
from core.speech import sentences
from core.speech.chunk import joined
from core.speech.prompt import read_clip

QUICK = VoxOptions(seed=5, retries=0, steps=2, max_patches=4)
TEXT = "Hello world, this is a test."
SENTENCE = "The boats slip out past the wall. "

SPOKEN = {
    "10,000 characters": SENTENCE * 295,
    "emoji among words": "Well done 🎉👩‍👩‍👧 everyone 👍🏽",
    "right to left": "שלום עולם، مرحبا بالعالم",
    "control characters": "Hello\x00 wor\x07ld\x1b[31m \u202e and \ufeff more\r\n",
    "mixed scripts": "Hello 世界 привет こんにちは สวัสดี नमस्ते",
    "an unknown language": "ᏣᎳᎩ ᎦᏬᏂᎯᏍᏗ",
    "one word without an end": "a" * 5000,
    "half of a pair": "Hello \ud83d world",
}
REFUSED = {
    "empty": ("", "is empty"),
    "spaces": (" \t\n", "is empty"),
    "pictures alone": ("🎉 👍🏽 …", "no letters or numbers"),
    "controls alone": ("\x00\x01\x1b", "no letters or numbers"),
    "1 MB": ("word " * 210_000, "1,050,000 characters"),
}


@pytest.fixture
def unharmed(engine: Any) -> Iterator[Any]:
    """An engine; afterwards it holds what it held, and says what it said."""
    before, wanted = engine.memory_bytes, joined(engine.stream(TEXT, QUICK))
    yield engine
    assert len(engine.sessions) == 0
    assert engine.memory_bytes == before
    np.testing.assert_array_equal(joined(engine.stream(TEXT, QUICK)), wanted)


@pytest.mark.parametrize("text", SPOKEN.values(), ids=SPOKEN.keys())
def test_texts_that_are_spoken(unharmed: Any, text: str) -> None:
    parts = sentences.split(text, QUICK.max_weight)
    assert all(sentences.weight(part.text) <= QUICK.max_weight for part in parts)
    stream = unharmed.stream(text, QUICK)
    first = next(stream)
    assert first.text == parts[0].text
    assert np.isfinite(first.audio).all()
    if len(parts) == 1:
        assert first.final or [chunk.final for chunk in stream][-1]
    stream.close()


@pytest.mark.parametrize(("text", "words"), REFUSED.values(), ids=REFUSED.keys())
def test_texts_that_are_not(unharmed: Any, text: str, words: str) -> None:
    with pytest.raises(BadInput, match=words) as caught:
        unharmed.speak(text, QUICK)
    assert caught.value.hint
    with pytest.raises(BadInput):  # the same text as it arrives from a source that is not known to end
        list(unharmed.stream(iter([text]), QUICK))


def voice(seconds: float, rate_hz: int) -> np.ndarray:
    at = np.arange(round(seconds * rate_hz)) / rate_hz
    return 0.3 * np.clip(np.sin(12 * at), 0, 1) * np.sin(1250 * at) + 1e-4 * np.sin(7e4 * at**2)


CLIPS: dict[str, tuple[Callable[[], tuple[np.ndarray, int]], str]] = {
    "silent": (lambda: (np.zeros(48_000), 16_000), "is silent"),
    "0.2 s": (lambda: (voice(0.2, 16_000), 16_000), "too short"),
    "5 min": (lambda: (voice(300, 2_000), 2_000), "longer than 60 s"),
    "longer than the model's room": (lambda: (voice(50, 8_000), 8_000), "positions"),
    "stereo at 192 kHz": (lambda: (np.stack([voice(3, 192_000), -0.5 * voice(3, 192_000)], axis=1), 192_000), ""),
}


@pytest.mark.parametrize(("sound", "words"), CLIPS.values(), ids=CLIPS.keys())
def test_clips(unharmed: Any, tmp_path: Path, sound: Callable[[], tuple[np.ndarray, int]], words: str) -> None:
    soundfile.write(tmp_path / "clip.flac", *sound())

    def clone() -> np.ndarray:
        clip = read_clip(tmp_path / "clip.flac", unharmed.net.encode_rate_hz, "The quick brown fox jumps." * 8)
        if words == "positions" and unharmed.net.is_v2:  # its patches are twice as long
            unharmed.prompt(clip)
            raise BadInput("positions", "V2 has room for it.")
        return joined(unharmed.stream(TEXT, QUICK, unharmed.prompt(clip)))

    if not words:
        assert np.isfinite(clone()).all()
        return
    with pytest.raises(BadInput, match=words) as caught:
        clone()
    assert caught.value.hint


@pytest.mark.parametrize(
    ("text", "found"),
    [("Hi.", True), ("The quick brown fox jumps over it, they say. " * 20, True), ("你好世界", False)],
)
def test_a_wrong_transcript_is_told_and_spoken(unharmed: Any, tmp_path: Path, text: str, found: bool) -> None:
    soundfile.write(tmp_path / "clip.wav", voice(3 if found else 1.5, 16_000), 16_000)
    clip = read_clip(tmp_path / "clip.wav", unharmed.net.encode_rate_hz, text)
    assert any("words" in finding for finding in clip.findings) is found
    assert joined(unharmed.stream(TEXT, QUICK, unharmed.prompt(clip))).size


DAMAGE = ("missing", "cut in half", "empty", "of zeros")


@pytest.mark.parametrize("how", DAMAGE)
@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "audiovae.pth", "tokenizer.json"])
def test_model_files(tiny: Callable[[str], Path], tmp_path: Path, name: str, how: str) -> None:
    from core.engines.voxcpm.engine import load

    folder = Path(shutil.copytree(tiny("voxcpm"), tmp_path / "model"))
    data = (folder / name).read_bytes()
    if how == "missing":
        (folder / name).unlink()
    else:
        size = len(data) // 2
        (folder / name).write_bytes({"cut in half": data[:size], "empty": b"", "of zeros": bytes(size)}[how])
    with pytest.raises(ModelFileError) as caught:
        load(folder)
    assert caught.value.hint
    assert name.partition(".")[0] in caught.value.message


@pytest.mark.parametrize("rank", [True, False], ids=["rank", "base"])
def test_a_lora_of_another(
    loaded: Callable[[str], Any], tiny: Callable[[str], Path], tmp_path: Path, rank: bool
) -> None:
    from tests.engines.voxcpm.test_adapters import make_lora

    engine = loaded("voxcpm")
    before, wanted = engine.memory_bytes, joined(engine.stream(TEXT, QUICK))
    kind, lora = "voxcpm" if rank else "voxcpm2", tmp_path / "lora"
    make_lora(tiny(kind), lora, kind, r=4, enable_proj=not rank)
    if rank:
        content = json.loads((lora / "lora_config.json").read_text("utf-8"))
        content["lora_config"]["r"] = 8
        (lora / "lora_config.json").write_text(json.dumps(content), "utf-8")
    with pytest.raises(ModelFileError, match="does not fit"):
        engine.speak(TEXT, QUICK.model_copy(update={"lora": str(lora)}))
    assert engine.memory_bytes == before
    np.testing.assert_array_equal(joined(engine.stream(TEXT, QUICK)), wanted)


@pytest.mark.parametrize("where", ["feat_encoder", "feat_decoder.estimator", "audio_vae.decoder.model"])
def test_a_gpu_without_memory(unharmed: Any, where: str) -> None:
    """The error of CUDA comes from within the prefill, a step or the decoder, in the middle of a sentence."""
    calls = 0

    def full(module: object, inputs: object) -> None:
        nonlocal calls
        calls += 1
        if calls > 2:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")

    module = unharmed.net.model.get_submodule(where)
    for inner in module if where.startswith("audio_vae") else [module]:
        inner.register_forward_pre_hook(full)
    stream = unharmed.stream(TEXT, QUICK)
    try:
        with pytest.raises(StudioError, match="memory") as caught:
            list(stream)
    finally:
        for inner in module if where.startswith("audio_vae") else [module]:
            inner._forward_pre_hooks.clear()
    assert "smaller model" in caught.value.hint
    assert not isinstance(caught.value, torch.cuda.OutOfMemoryError)


def test_a_client_that_goes_away_in_mid_stream(unharmed: Any) -> None:
    """The task that sends is cancelled, as a server does it when the connection is lost."""

    async def client() -> None:
        heard = asyncio.Event()

        async def send() -> None:
            async for _ in unharmed.session(QUICK).astream(SENTENCE * 50):
                heard.set()

        task = asyncio.create_task(send())
        await heard.wait()
        assert len(unharmed.sessions) == 1
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(client())
