"""One utterance: what is heard does not depend on how its text came, in what blocks it was made, or when."""

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from core.audio.synthetic import WOMAN, recording
from core.engines.cosyvoice2.engine import CosyEngine, CosySession, load
from core.engines.cosyvoice2.options import CosyOptions
from core.engines.cosyvoice2.speaker import Speaker
from core.engines.cosyvoice2.utterance import Utterance
from core.speech.prompt import ReferenceClip
from tests.engines.cosyvoice2 import tiny_folder
from tests.engines.cosyvoice2.conftest import few

IDS = list(b"Hello, you all: here are forty tokens.. ")  # at least eighty of speech, several blocks of any hop
TOLERANCE = 1e-4
MODES = ("preset", "stored", "zero_shot", "cross_lingual", "instruct")


@pytest.fixture(scope="session")
def engines(tmp_path_factory: pytest.TempPathFactory) -> dict[int, CosyEngine]:
    """Both versions, with the same presets."""
    place = tmp_path_factory.mktemp("both")
    return {version: load(tiny_folder.write(place / f"v{version}", version=version)) for version in (2, 3)}


@pytest.fixture(scope="session")
def voices(engines: dict[int, CosyEngine]) -> dict[tuple[int, str], Speaker]:
    audio, rate_hz = recording(1.0, WOMAN)
    clip = ReferenceClip(audio[: rate_hz * 3 // 2], rate_hz, "hi", "", Path("clip.wav"))
    found = {}
    for version, engine in engines.items():
        cloned, heard = engine.prompt(clip), engine.prompt(None, clip)
        of = {"preset": engine.preset("girl"), "stored": engine.preset("stored"), "zero_shot": cloned}
        found |= {(version, mode): of.get(mode, heard) for mode in MODES}
    return found


def opened(session: CosySession, *, interleaved: bool, live: bool) -> Utterance:
    return session._open(0, interleaved=interleaved, live=live)


def taken(utterance: Utterance, most: int) -> list[torch.Tensor]:
    """What up to `most` steps give; fewer where it waits for text or is done."""
    parts: list[torch.Tensor] = []
    while len(parts) < most and not utterance.done and (piece := utterance.step()) is not None:
        parts.append(piece)
    return parts


@pytest.mark.parametrize(("version", "mode"), [*((2, mode) for mode in MODES), (3, "zero_shot"), (3, "instruct")])
@few(3)
@given(data=st.data())
def test_streamed_equals_one_pass_at_every_chunking_hop_and_arrival_order(
    engines: dict[int, CosyEngine], voices: dict[tuple[int, str], Speaker], version: int, mode: str, data: st.DataObject
) -> None:
    """Tokens come in any groups, with any number of steps between them; blocks have any length; the left context,
    where it is bounded, is part of what is said, not of how it is cut."""
    fixed = {"seed": data.draw(st.integers(1, 3)), "first_hop": data.draw(st.integers(1, 25)),
             "left_context_s": data.draw(st.sampled_from([1.0, 2.0, None])),
             "speed": data.draw(st.sampled_from([1.0, 1.3])),
             **({"mode": "instruct", "instruct": "softly"} if mode == "instruct" else {})}  # fmt: skip
    hop = data.draw(st.sampled_from([25, 50, 75]))
    speaker, engine, interleaved = voices[version, mode], engines[version], data.draw(st.booleans())
    whole = opened(engine.session(CosyOptions.model_validate(fixed), speaker), interleaved=interleaved, live=False)
    whole.feed(IDS)
    whole.end()
    expected = torch.cat(taken(whole, 10**6))
    streamed = CosyOptions.model_validate({**fixed, "token_hop_len": hop})
    utterance = opened(engine.session(streamed, speaker), interleaved=interleaved, live=True)
    parts, at = [], 0
    while at < len(IDS):
        group = data.draw(st.integers(1, len(IDS) - at))
        utterance.feed(IDS[at : at + group])
        at += group
        parts += taken(utterance, data.draw(st.integers(0, 30)))
    utterance.end()
    parts += taken(utterance, 10**6)
    heard = torch.cat(parts)
    assert utterance.done
    assert heard.shape == expected.shape
    torch.testing.assert_close(heard, expected, atol=TOLERANCE, rtol=0)


def test_one_that_waits_says_nothing_and_holds_what_it_remembers(
    engines: dict[int, CosyEngine], voices: dict[tuple[int, str], Speaker]
) -> None:
    utterance = opened(engines[2].session(CosyOptions(seed=1), voices[2, "preset"]), interleaved=True, live=True)
    assert utterance.step() is None
    utterance.feed(IDS[:3])
    assert utterance.step() is None, "three tokens are no block of text"
    utterance.feed(IDS[3:])
    assert utterance.step() is not None
    taken(utterance, 40)
    assert utterance.memory_bytes > utterance._decoding.memory_bytes > 0
