"""Sessions of the package's models with random weights: the same sound whole and streamed, alone and in company."""

import asyncio
import gc
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from core.engines.voxcpm.options import VoxOptions
from core.engines.voxcpm.prompts import VoxPrompt
from core.errors import BadInput, Cancelled, Conflict
from core.speech.chunk import Chunk, joined
from core.speech.prompt import read_clip
from core.speech.reading import normalisers

TEXT = "Hello world, this is a short test of speech."
LONG = "Hello world, this is a short test. The quick brown fox jumps over it.\n\n今天天气很好，我们去公园散步吧。"
SAID = "The quick brown fox."


def options(**values: Any) -> VoxOptions:
    return VoxOptions(**{"seed": 3, "retries": 0, "steps": 4, "max_patches": 8, **values})


def prompt_of(engine: Any, clip_file: Path, kind: str) -> VoxPrompt | None:
    clip = read_clip(clip_file, engine.capabilities.prompt_rate_hz, SAID)
    if kind == "none":
        return None
    return engine.prompt(clip if "continuation" in kind else None, clip if "reference" in kind else None)


def bare(tiny: Callable[[str], Path], architecture: str) -> Any:
    """The package's own model, loaded by the package."""
    from core.engines.voxcpm.package import module_of

    parts = module_of(architecture)
    kind = parts.VoxCPM2Model if architecture == "voxcpm2" else parts.VoxCPMModel
    return kind.from_local(str(tiny(architecture)), optimize=False, device="cpu")


def package_cache(prompt: VoxPrompt) -> dict[str, Any]:
    """A prompt as the package keeps one. (Its own reader of clips is slow to start; test_prompts compares latents.)"""
    cache: dict[str, Any] = {"mode": "continuation" if prompt.reference is None else "reference"}
    if prompt.reference is not None:
        cache["ref_audio_feat"] = prompt.reference
    if prompt.audio is not None:
        cache |= {"prompt_text": prompt.text + " ", "audio_feat": prompt.audio}
        cache["mode"] = "ref_continuation" if prompt.reference is not None else "continuation"
    return cache


CASES = [
    ("voxcpm", "none"),
    ("voxcpm", "continuation"),
    ("voxcpm2", "none"),
    ("voxcpm2", "continuation"),
    ("voxcpm2", "reference"),
    ("voxcpm2", "reference+continuation"),
]


@pytest.mark.parametrize(("architecture", "kind"), CASES)
def test_one_shot_equals_streamed_equals_the_package(
    loaded: Callable[[str], Any], tiny: Callable[[str], Path], clip_file: Path, architecture: str, kind: str
) -> None:
    engine = loaded(architecture)
    prompt = prompt_of(engine, clip_file, kind)
    whole = engine.speak(TEXT, options(), prompt)
    chunks = list(engine.stream(TEXT, options(), prompt))

    assert len(chunks) > 3
    assert [chunk.final for chunk in chunks] == [False] * (len(chunks) - 1) + [True]
    assert {chunk.audio.size for chunk in chunks} == {engine.net.patch_samples}
    np.testing.assert_allclose(joined(chunks), whole.audio, atol=1e-4)
    assert np.abs(whole.audio).max() > 0.01

    model = bare(tiny, architecture)
    cache = None if prompt is None else package_cache(prompt)
    torch.manual_seed(3)
    theirs, _, _ = model.generate_with_prompt_cache(TEXT, cache, max_len=8, inference_timesteps=4)
    np.testing.assert_allclose(whole.audio, theirs[0].numpy(), atol=1e-4)


def test_streams_start_as_the_one_shot_does_where_the_packages_does_not(
    loaded: Callable[[str], Any], tiny: Callable[[str], Path], clip_file: Path
) -> None:
    """The defect that the warm decoder is there for is real in these models too."""
    engine = loaded("voxcpm2")
    prompt = prompt_of(engine, clip_file, "continuation")
    model = bare(tiny, "voxcpm2")
    assert prompt is not None
    cache = package_cache(prompt)
    torch.manual_seed(3)
    cold = model.generate_with_prompt_cache_streaming(TEXT, cache, max_len=8, inference_timesteps=4)
    theirs = np.concatenate([audio[0].numpy() for audio, _, _ in cold])
    ours = joined(engine.stream(TEXT, options(), prompt))
    assert np.abs(theirs - ours).max() > 1e-3
    np.testing.assert_allclose(theirs[-7680:], ours[-7680:], atol=1e-3)


@pytest.mark.parametrize("size", [2, 3, 64])
def test_the_size_of_chunks_does_not_change_the_sound(engine: Any, size: int) -> None:
    alone = joined(engine.stream(TEXT, options()))
    chunks = list(engine.stream(TEXT, options(patches_a_chunk=size)))
    np.testing.assert_allclose(joined(chunks), alone, atol=1e-5)
    assert chunks[-1].final


def test_long_texts_join_without_loss(engine: Any) -> None:
    whole = engine.speak(LONG, options(pause_ms=100, paragraph_pause_ms=300))
    chunks = list(engine.stream(LONG, options(pause_ms=100, paragraph_pause_ms=300)))
    np.testing.assert_allclose(joined(chunks), whole.audio, atol=1e-4)
    assert [chunk.index for chunk in chunks] == list(range(len(chunks)))
    assert len(whole.sentences) == 3
    rate = whole.sample_rate_hz
    extra = whole.audio.size % engine.net.patch_samples
    assert extra == (rate // 10 + 3 * rate // 10) % engine.net.patch_samples


def test_text_in_pieces_says_the_same(engine: Any) -> None:
    pieces = [LONG[at : at + 5] for at in range(0, len(LONG), 5)]
    np.testing.assert_array_equal(joined(engine.stream(pieces, options())), joined(engine.stream(LONG, options())))


def test_without_a_prompt_the_first_sentence_lends_its_voice(engine: Any) -> None:
    session = engine.session(options())
    parts = list(session.stream("Hello world, this is a test. Hello world, this is a test."))
    first, second = (joined(c for c in parts if c.sentence == n) for n in (0, 1))
    assert session._prompt.text == "Hello world, this is a test."
    assert first.size != second.size or np.abs(first - second).max() > 1e-3


def test_ten_interleaved_sessions_equal_ten_alone(engine: Any, clip_file: Path) -> None:
    prompt = prompt_of(engine, clip_file, "continuation")
    wanted = [joined(engine.stream(TEXT, options(seed=n), prompt if n % 2 else None)) for n in range(10)]
    streams = [engine.stream(TEXT, options(seed=n), prompt if n % 2 else None) for n in range(10)]
    got: list[list[Chunk]] = [[] for _ in streams]
    alive = set(range(10))
    while alive:
        for number in sorted(alive):
            chunk = next(streams[number], None)
            if chunk is None:
                alive.discard(number)
            else:
                got[number].append(chunk)
    for mine, alone in zip(got, wanted, strict=True):
        np.testing.assert_array_equal(joined(mine), alone)


def test_sessions_in_threads_do_not_mix(loaded: Callable[[str], Any]) -> None:
    engine = loaded("voxcpm2")
    wanted = {n: engine.speak(TEXT, options(seed=n)).audio for n in range(4)}
    got: dict[int, np.ndarray] = {}

    def work(number: int) -> None:
        got[number] = engine.speak(TEXT, options(seed=number)).audio

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number, audio in wanted.items():
        np.testing.assert_array_equal(got[number], audio)


def test_a_cancelled_session_leaves_the_next_unchanged(engine: Any) -> None:
    wanted = joined(engine.stream(TEXT, options()))
    session = engine.session(options(seed=9))
    stream = session.stream(TEXT)
    next(stream)
    with pytest.raises(Conflict, match="is speaking"):
        engine.unload()
    session.cancel()
    with pytest.raises(Cancelled):
        list(stream)
    left = engine.stream(TEXT, options(seed=8))
    next(left)
    left.close()
    np.testing.assert_array_equal(joined(engine.stream(TEXT, options())), wanted)
    assert not engine.sessions


def test_seeds(engine: Any) -> None:
    state = torch.get_rng_state()
    one, two = (engine.speak(TEXT, options(seed=n)).audio for n in (1, 2))
    assert one.size != two.size or np.abs(one - two).max() > 1e-3
    drawn = engine.speak(TEXT, options(seed=None))
    np.testing.assert_array_equal(engine.speak(TEXT, options(seed=drawn.seed)).audio, drawn.audio)
    assert torch.equal(torch.get_rng_state(), state), "a session must not touch the process's chance"


def test_a_sentence_without_end_is_tried_again_and_told(engine: Any) -> None:
    net = engine.net
    never = net.model.stop_head.weight.clone()
    net.model.stop_head.weight.zero_()
    try:
        once = engine.speak(TEXT, options())
        assert once.warnings == ("Sentence 1 did not come to an end by itself: " + TEXT[:40] + "…",)
        again = engine.speak(TEXT, options(retries=1))
        assert len(again.warnings) == 1
        assert np.abs(again.audio - once.audio).max() > 1e-3, "another try is another seed"
        assert once.audio.size == 8 * net.patch_samples
    finally:
        net.model.stop_head.weight.copy_(never)


def test_bad_requests(loaded: Callable[[str], Any], clip_file: Path) -> None:
    old, new = loaded("voxcpm"), loaded("voxcpm2")
    clip = read_clip(clip_file, 16000)
    with pytest.raises(BadInput, match="Only VoxCPM 2"):
        old.prompt(None, clip)
    with pytest.raises(BadInput, match="is missing"):
        old.prompt(clip)
    with pytest.raises(BadInput, match="description"):
        old.session(options(description="a deep voice"))
    with pytest.raises(BadInput, match="positions"):
        new.speak(TEXT, options(), VoxPrompt("x", torch.zeros(505, 4, 8)))
    for text in ("", " \n", "🎉🎉", "…"):
        with pytest.raises(BadInput, match="nothing to say"):
            new.speak(text, options())
        with pytest.raises(BadInput, match="nothing to say"):
            list(new.stream([text], options()))
    session = new.session(options())
    session.speak(TEXT)
    with pytest.raises(Conflict, match="has spoken"):
        session.speak(TEXT)
    assert new.speak("مرحبا بالعالم \x00\x07 Hello 👩‍👩‍👧 世界", options()).audio.size > 0


def test_description_is_said_to_the_model_alone(loaded: Callable[[str], Any]) -> None:
    engine = loaded("voxcpm2")
    plain, told = engine.speak(TEXT, options()), engine.speak(TEXT, options(description="a deep voice"))
    assert told.sentences == plain.sentences
    assert told.audio.size != plain.audio.size or np.abs(told.audio - plain.audio).max() > 1e-5


def test_numbers_are_written_out_where_it_is_wished(loaded: Callable[[str], Any]) -> None:
    engine, text = loaded("voxcpm"), "It costs 42 dollars. The number of the house is 7."
    written = engine.speak("It costs forty two dollars. The number of the house is seven.", options())
    wished = engine.speak(text, options(normalise=True))
    assert (
        wished.sentences
        == engine.speak(text, options()).sentences
        == (
            "It costs 42 dollars.",
            "The number of the house is 7.",
        )
    )
    if not normalisers():
        assert "wetext" in wished.warnings[0]
        return
    np.testing.assert_array_equal(wished.audio, written.audio)


def test_presets_give_way_to_what_is_given() -> None:
    assert (VoxOptions(quality="fine").steps, VoxOptions(quality="fast").steps, VoxOptions().steps) == (30, 6, 10)
    assert VoxOptions(quality="fine", steps=4).steps == 4


def test_memory_is_flat_and_goes(tiny: Callable[[str], Path]) -> None:
    from core.engines.voxcpm.engine import load

    engine = load(tiny("voxcpm2"))
    idle = engine.memory_bytes
    assert idle > 500_000
    stream = engine.stream(TEXT, options())
    next(stream)
    assert engine.memory_bytes > idle
    stream.close()

    def tensors() -> int:
        gc.collect()
        return sum(isinstance(thing, torch.Tensor) for thing in gc.get_objects())

    before = tensors()
    for number in range(20):
        left = engine.stream("Hello world.", options(seed=number, steps=2))
        next(left)
        left.close()
    assert engine.memory_bytes == idle
    assert tensors() <= before + 5
    engine.unload()
    assert engine.memory_bytes == 0
    with pytest.raises(Conflict, match="unloaded"):
        engine.speak(TEXT)


def test_async_source_and_chunks(loaded: Callable[[str], Any]) -> None:
    engine = loaded("voxcpm2")
    wanted = joined(engine.stream(LONG, options()))

    async def tokens() -> AsyncIterator[str]:
        for at in range(0, len(LONG), 7):
            await asyncio.sleep(0)
            yield LONG[at : at + 7]

    async def collect() -> np.ndarray:
        return joined([chunk async for chunk in engine.session(options()).astream(tokens())])

    async def leave() -> None:
        chunks = engine.session(options()).astream(tokens())
        await anext(chunks)
        await chunks.aclose()

    async def fail() -> None:
        async for _ in engine.session(options()).astream(""):
            pass

    np.testing.assert_array_equal(asyncio.run(collect()), wanted)
    asyncio.run(leave())
    with pytest.raises(BadInput):
        asyncio.run(fail())
    assert not engine.sessions
