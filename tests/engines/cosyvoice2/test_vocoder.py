"""Mel to audio: the chunks are the sound made at once."""

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from core.engines.cosyvoice2.hift import Hift, reach
from core.engines.cosyvoice2.source import held_phases, sample_phases, turns_a_sample
from core.engines.cosyvoice2.vocoder import VocoderStream
from tests.engines.cosyvoice2.conftest import few

N_FRAMES, HOP = 60, 480
MEL = torch.randn(1, 80, N_FRAMES, generator=torch.Generator().manual_seed(6))


def run(hift: Hift, cuts: list[int], hold: int | None = None) -> list[torch.Tensor]:
    stream = VocoderStream(hift, torch.Generator().manual_seed(7), hold)
    edges = [0, *sorted(cuts), N_FRAMES]
    parts = [stream.push(MEL[..., a:b]) for a, b in itertools.pairwise(edges)]
    return [*parts, stream.push(MEL[..., :0], final=True)]


@pytest.mark.parametrize("kind", ["hift", "causal_hift"])
@few(3)
@given(cuts=st.lists(st.integers(0, N_FRAMES), max_size=3))
def test_streamed_equals_one_pass(request: pytest.FixtureRequest, kind: str, cuts: list[int]) -> None:
    hift: Hift = request.getfixturevalue(kind)
    whole = torch.cat(run(hift, []))
    assert whole.shape == (N_FRAMES * HOP,)
    assert whole.std() > 1e-3
    torch.testing.assert_close(torch.cat(run(hift, cuts)), whole, atol=1e-5, rtol=0)


@pytest.mark.parametrize("kind", ["hift", "causal_hift"])
def test_reach_is_what_audio_depends_on(request: pytest.FixtureRequest, kind: str) -> None:
    hift: Hift = request.getfixturevalue(kind)
    left, right = reach(hift.config)

    def decode(mel: torch.Tensor, f0: torch.Tensor) -> torch.Tensor:
        return hift.decode(mel, hift.source(f0, torch.zeros(len(f0) * HOP, 9), None))[0]

    plain = decode(MEL, hift.pitch(MEL))
    changed = MEL.clone()
    changed[..., 35:] += 1
    after = (decode(changed, hift.pitch(changed)) - plain).abs() > 1e-6
    assert after.any()
    assert 35 - right <= int(after.nonzero()[0]) / HOP
    # To the left of it the pitch's context is counted apart: the stream keeps pitches, not mel.
    changed = MEL.clone()
    changed[..., :35] += 1
    before = (decode(changed, hift.pitch(MEL)) - plain).abs() > 1e-6
    assert before.any()
    assert int(before.nonzero()[-1]) / HOP <= 35 + left


@pytest.mark.parametrize("hold", [3, 8])
def test_less_held_back_comes_sooner_and_stays_near(hift: Hift, hold: int) -> None:
    exact, soon = run(hift, [30, 45]), run(hift, [30, 45], hold)
    assert len(soon[0]) == (30 - hold) * HOP > len(exact[0])
    whole, joined = torch.cat(exact), torch.cat(soon)
    assert joined.shape == whole.shape
    # What differs lies before a cut; at the cuts nothing jumps more than it does elsewhere.
    near = torch.zeros(N_FRAMES, dtype=torch.bool)
    for cut in (30, 45):
        near[cut - 22 : cut + 1] = True
    assert torch.allclose(joined.view(-1, HOP)[~near], whole.view(-1, HOP)[~near], atol=1e-5)
    assert joined.diff().abs().max() < 2 * whole.diff().abs().max()


def test_a_crossfade_of_equal_sounds_is_that_sound(causal_hift: Hift) -> None:
    """Gains sum to one: with a hold just under the exact one, a steady mel passes the seam at its own level."""
    mel = MEL[..., :1].expand(-1, -1, 60)
    stream = VocoderStream(causal_hift, torch.Generator().manual_seed(1), 4)
    whole = VocoderStream(causal_hift, torch.Generator().manual_seed(1)).push(mel, final=True)
    joined = torch.cat([stream.push(mel[..., :30]), stream.push(mel[..., 30:], final=True)])
    seam = slice(26 * HOP, 30 * HOP)
    assert 0.97 < float(joined[seam].std() / whole[seam].std()) < 1.03


def test_phase_goes_on_from_chunk_to_chunk() -> None:
    f0 = torch.linspace(100, 300, 12)
    turns = turns_a_sample(f0, 9, 24000)
    whole = sample_phases(turns, HOP, None)
    head_end = torch.remainder(torch.cumsum(turns[:5].double() * HOP, 0), 1.0)[-1]
    rest = sample_phases(turns[5:], HOP, head_end)
    gap = (rest - whole[5 * HOP :]).remainder(1.0)
    assert torch.minimum(gap, 1 - gap).max() < 1e-9
    # Half a frame at each end stands still.
    assert torch.equal(whole[0], whole[HOP // 2 - 1])
    assert torch.equal(held_phases(turns, HOP, None)[0], held_phases(turns, HOP, None)[HOP - 1])


def test_phase_is_exact_after_minutes() -> None:
    turns = turns_a_sample(torch.full((6000,), 200.0), 9, 24000)
    last = sample_phases(turns, HOP, None)[-1]
    expected = torch.remainder(turns[0].double() * HOP * 6000, 1.0)
    gap = (last - expected).remainder(1.0)
    assert torch.minimum(gap, 1 - gap).max() < 1e-6


def test_an_empty_sound_and_an_ended_stream(hift: Hift) -> None:
    stream = VocoderStream(hift, torch.Generator().manual_seed(1))
    assert stream.push(MEL[..., :0], final=True).shape == (0,)
    with pytest.raises(ValueError, match="ended"):
        stream.push(MEL)


@pytest.mark.parametrize("kind", ["hift", "causal_hift"])
def test_the_tiny_vocoders_are_not_deaf(request: pytest.FixtureRequest, kind: str) -> None:
    """Else every test of equal sounds passes whatever the flow does."""
    hift: Hift = request.getfixturevalue(kind)
    noise = torch.randn(MEL.shape, generator=torch.Generator().manual_seed(2))
    plain, other = (VocoderStream(hift, torch.Generator().manual_seed(7)).push(mel, final=True)
                    for mel in (MEL, MEL + 0.02 * noise))  # fmt: skip
    assert (plain - other).abs().max() > 1e-3
    assert plain.abs().max() < 0.98
