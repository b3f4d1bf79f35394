"""A tiny model in the released layout: modes, streams, sessions side by side, errors and ends."""

import asyncio
import dataclasses
import gc
import itertools
import sys
import weakref
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.audio.synthetic import WOMAN, recording
from core.engines.cosyvoice2.engine import CosyEngine, CosySession, load
from core.engines.cosyvoice2.options import PRESETS, CosyOptions
from core.errors import BadInput, Cancelled, Conflict, ModelFileError, NotFound
from core.speech.chunk import Chunk, joined
from core.speech.prompt import ReferenceClip
from core.speech.reading import normalisers
from tests.engines.cosyvoice2 import tiny_folder
from tests.engines.cosyvoice2.conftest import few

TEXT = "Hello, you all."
TOLERANCE = 1e-4


@pytest.fixture(scope="session")
def engine(folder: Path) -> CosyEngine:
    return load(folder)


@pytest.fixture(scope="session")
def clip() -> ReferenceClip:
    audio, rate_hz = recording(1.0, WOMAN)
    return ReferenceClip(audio[: rate_hz * 3 // 2], rate_hz, "hi", "", Path("clip.wav"))


def opened(engine: CosyEngine, voice: str = "stored", **options: object) -> CosySession:
    return engine.session(CosyOptions.model_validate({"seed": 3, "pause_ms": 0, **options}), engine.preset(voice))


@few(3)
@given(
    cuts=st.lists(st.integers(0, len(TEXT)), max_size=5),
    first_hop=st.sampled_from([8, 15, 25]),
    hop=st.sampled_from([25, 50]),
    speed=st.sampled_from([1.0, 1.3]),
)
def test_streamed_equals_one_pass(engine: CosyEngine, cuts: list[int], first_hop: int, hop: int, speed: float) -> None:
    """At every chunking and hop; and what is said of a text in pieces does not depend on the pieces."""
    edges = [0, *sorted(cuts), len(TEXT)]
    pieces = [TEXT[a:b] for a, b in itertools.pairwise(edges)]
    whole = opened(engine, first_hop=first_hop, speed=speed).speak([TEXT])
    chunks = list(opened(engine, first_hop=first_hop, token_hop_len=hop, speed=speed).stream(pieces))
    assert [chunk.index for chunk in chunks] == list(range(len(chunks)))
    assert [chunk.final for chunk in chunks] == [False] * (len(chunks) - 1) + [True]
    streamed = joined(chunks)
    assert streamed.shape == whole.audio.shape
    np.testing.assert_allclose(streamed, whole.audio, atol=TOLERANCE)


def test_a_whole_text_streams_to_what_speak_gives(engine: CosyEngine) -> None:
    text = "Is it here already? It surely is."
    whole, chunks = opened(engine).speak(text), list(opened(engine).stream(text))
    np.testing.assert_allclose(joined(chunks), whole.audio, atol=TOLERANCE)
    assert len(whole.sentences) >= 1
    assert whole.audio.std() > 1e-4
    assert len(chunks) > 2


def test_numbers_are_said_as_words(engine: CosyEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also those that come in two chunks; and where the package is missing, the request says so."""
    if not normalisers():
        pytest.skip("wetext is not installed")
    written = opened(engine, normalise=False).speak("I have twelve").audio
    np.testing.assert_array_equal(opened(engine).speak("I have 12").audio, written)
    arriving = joined(opened(engine, normalise=False).stream(["I have twelve"]))
    np.testing.assert_array_equal(joined(opened(engine).stream(["I ha", "ve 1", "2"])), arriving)
    monkeypatch.setitem(sys.modules, "wetext", None)
    normalisers.cache_clear()
    session = opened(engine)
    try:
        session.speak("I have 12")
        assert "wetext is not installed" in session.warnings[0]
    finally:
        normalisers.cache_clear()


def test_all_modes_speak_and_differ(engine: CosyEngine, clip: ReferenceClip) -> None:
    cloned, heard = engine.prompt(clip), engine.prompt(None, clip)
    assert cloned.has_text
    assert not heard.has_text
    assert abs(cloned.tokens.shape[1] - 37) <= 1
    said = {}
    for name, speaker, changes in (
        ("preset", engine.preset("girl"), {"mode": "preset"}),
        ("stored", engine.preset("stored"), {"mode": "preset"}),
        ("zero_shot", cloned, {}),
        ("cross_lingual", heard, {}),
        ("instruct", cloned, {"mode": "instruct", "instruct": "softly"}),
    ):
        # Three seeds: a tiny model may draw the same few tokens in two modes once.
        takes = [CosyOptions.model_validate({"seed": seed, **changes}) for seed in (1, 2, 3)]
        heard_takes = [engine.session(take, speaker).speak("Hello").audio for take in takes]
        assert all(take.size for take in heard_takes)
        said[name] = np.concatenate(heard_takes)
    sounds = list(said.values())
    assert all(a.shape != b.shape or not np.allclose(a, b) for n, a in enumerate(sounds) for b in sounds[:n])


def test_ten_sessions_in_turn_equal_ten_alone_and_an_error_in_one_ends_only_that(engine: CosyEngine) -> None:
    texts = [f"Number {n} says hi" for n in range(10)]
    alone = [joined(opened(engine, seed=n).stream([text])) for n, text in enumerate(texts)]
    streams: dict[int, Iterator[Chunk]] = {n: opened(engine, seed=n).stream([text]) for n, text in enumerate(texts)}
    streams[-1] = opened(engine, seed=1).stream(broken())
    together: dict[int, list[np.ndarray]] = {n: [] for n in streams}
    failed = []
    while streams:
        for n in list(streams):
            try:
                together[n].append(next(streams[n]).audio)
            except StopIteration:
                del streams[n]
            except OSError:
                failed.append(n)
                del streams[n]
    assert failed == [-1]
    for n, expected in enumerate(alone):
        np.testing.assert_array_equal(np.concatenate(together[n]), expected)
    assert not engine.sessions


def broken() -> Iterator[str]:
    """A source of text that ends with an error."""
    yield TEXT
    raise OSError("the line is down")


def test_leaving_early_frees_everything(engine: CosyEngine) -> None:
    session = opened(engine)
    stream = session.stream([TEXT])
    next(stream)
    assert engine.memory_bytes > engine.model.memory_bytes
    with pytest.raises(Conflict):
        engine.unload()
    utterance = weakref.ref(session._utterance)  # type: ignore[arg-type]
    stream.close()
    gc.collect()
    assert utterance() is None
    assert not engine.sessions
    assert engine.memory_bytes == engine.model.memory_bytes


def test_async_text_with_pauses_and_a_disconnect(engine: CosyEngine) -> None:
    async def typed() -> AsyncIterator[str]:
        for piece in ("Hello, ", "you ", "all."):
            await asyncio.sleep(0.01)
            yield piece

    async def heard(leave_after: int | None) -> list[np.ndarray]:
        out = []
        async for chunk in opened(engine).astream(typed()):
            out.append(chunk.audio)
            if leave_after and len(out) == leave_after:
                break
        return out

    np.testing.assert_allclose(
        np.concatenate(asyncio.run(heard(None))), joined(opened(engine).stream([TEXT])), atol=TOLERANCE
    )
    asyncio.run(heard(1))
    gc.collect()
    assert not engine.sessions


def test_cancelled_sessions_stop(engine: CosyEngine) -> None:
    session = opened(engine)
    stream = session.stream([TEXT * 4])
    next(stream)
    session.cancel()
    with pytest.raises(Cancelled):
        list(stream)


def test_what_cannot_be_said_is_told(engine: CosyEngine, clip: ReferenceClip) -> None:
    with pytest.raises(BadInput, match="nothing to say"):
        list(opened(engine).stream([]))
    with pytest.raises(BadInput, match="nothing to say"):
        list(opened(engine).stream("  "))
    with pytest.raises(BadInput, match="cannot be continued"):
        opened(engine, "girl", mode="zero_shot")
    with pytest.raises(NotFound, match="no voice 'nobody'"):
        engine.preset("nobody")
    with pytest.raises(BadInput, match="not both"):
        opened(engine, preset="girl")
    assert engine.session(CosyOptions(preset="stored"))._speaker is engine.model.presets["stored"]
    with pytest.raises(BadInput, match="one clip"):
        engine.prompt(clip, clip)
    used = opened(engine)
    used.speak("Hi")
    with pytest.raises(Conflict, match="has spoken"):
        used.speak("Hi")


def test_version_3_speaks_too(tmp_path: Path, clip: ReferenceClip) -> None:
    engine = load(tiny_folder.write(tmp_path / "Fun-CosyVoice3-tiny", version=3, presets=False))
    assert "CosyVoice3" in engine.capabilities.model
    with pytest.raises(BadInput, match="needs a voice"):
        engine.session(CosyOptions())
    speaker = engine.prompt(clip)
    for mode, said in (
        ({}, "You are a helpful assistant.<|endofprompt|>hi"),
        ({"mode": "cross_lingual"}, "You are a helpful assistant.<|endofprompt|>"),
        ({"mode": "instruct", "instruct": "softly"}, "You are a helpful assistant. softly<|endofprompt|>"),
    ):
        session = engine.session(CosyOptions.model_validate(mode), speaker)
        assert session._said == engine.model.text_ids(said)
    options = CosyOptions(seed=2)
    whole = engine.session(options, speaker).speak(["Hello you"])
    streamed = joined(engine.session(options, speaker).stream(["Hello ", "you"]))
    np.testing.assert_allclose(streamed, whole.audio, atol=TOLERANCE)
    assert whole.audio.size


@pytest.mark.parametrize("name", ["llm.pt", "campplus.onnx", "CosyVoice-BlankEN/config.json", "cosyvoice2.yaml"])
def test_a_missing_file_is_named(folder: Path, tmp_path: Path, name: str) -> None:
    copy = tmp_path / "model"
    copy.mkdir()
    for path in folder.iterdir():
        (copy / path.name).symlink_to(path)
    if "/" in name:
        (copy / "CosyVoice-BlankEN").unlink()
        (copy / "CosyVoice-BlankEN").mkdir()
    else:
        (copy / name).unlink()
    with pytest.raises(ModelFileError) as err:
        load(copy)
    assert name.split("/")[-1] in err.value.message


def test_scenes_are_ways_that_work() -> None:
    tokens = {name: CosyOptions.model_validate({"scene": name}).first_sound_tokens for name in PRESETS}
    assert tokens["conversation"] < tokens["general"] < tokens["reading"]
    assert CosyOptions(scene="conversation", first_hop=20).first_hop == 20, "what is given stays"
    for wrong in ({"token_hop_len": 30}, {"first_hop": 26}, {"mel_cache_len": 0}, {"scene": "opera"}):
        with pytest.raises(ValueError, match="|".join(wrong)):
            CosyOptions.model_validate(wrong)
    with pytest.raises(ValueError, match="go together"):
        CosyOptions(mode="instruct")


@pytest.mark.parametrize("scene", PRESETS)
def test_the_first_sound_comes_after_as_many_tokens_as_are_told(engine: CosyEngine, scene: str) -> None:
    session = opened(engine, scene=scene)
    stream = session.stream(TEXT)
    assert next(stream).audio.size
    assert session._utterance is not None
    made = session._utterance._decoding._decoded
    assert len(made) == session._options.first_sound_tokens
    stream.close()


def test_a_clip_is_heard_once(engine: CosyEngine, clip: ReferenceClip, tmp_path: Path) -> None:
    known = dataclasses.replace(clip, sha256="a" * 64)
    first = engine.prompt(known, None, tmp_path)
    (kept,) = tmp_path.iterdir()
    stamp = kept.stat().st_mtime_ns
    again = engine.prompt(known, None, tmp_path)
    assert (again.tokens == first.tokens).all()
    assert kept.stat().st_mtime_ns == stamp
    engine.prompt(dataclasses.replace(known, sha256="b" * 64), None, tmp_path)
    assert kept.stat().st_mtime_ns > stamp, "other bytes, another voice"
    engine.prompt(None, known, tmp_path)
    assert len(list(tmp_path.iterdir())) == 2, "with its words and without"
