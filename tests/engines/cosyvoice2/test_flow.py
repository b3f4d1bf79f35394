"""Speech tokens to mel: block by block is what all at once gives."""

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from core.engines.cosyvoice2.flow import Flow, FlowStream, Prompt, StartNoise
from tests.engines.cosyvoice2.conftest import VOCAB, few

N_TOKENS = 23
TOLERANCE = 1e-4
TOKENS = torch.randint(0, VOCAB, (1, N_TOKENS), generator=torch.Generator().manual_seed(9))


def run(stream: FlowStream, cuts: list[int]) -> torch.Tensor:
    edges = [0, *sorted(cuts), N_TOKENS]
    parts = [stream.push(TOKENS[0, a:b].tolist()) for a, b in itertools.pairwise(edges)]
    return torch.cat([*parts, stream.push([], final=True)], dim=2)


@pytest.mark.parametrize("kind", ["flow", "dit_flow"])
@few(5)
@given(cuts=st.lists(st.integers(0, N_TOKENS), max_size=4), skip=st.integers(0, 4))
def test_streamed_equals_one_pass(
    request: pytest.FixtureRequest, kind: str, prompt: Prompt, cuts: list[int], skip: int
) -> None:
    flow: Flow = request.getfixturevalue(kind)
    whole = flow.mel(TOKENS, prompt, block=True, skip=skip)
    assert whole.shape == (1, 80, 2 * N_TOKENS)
    torch.testing.assert_close(run(flow.stream(prompt, skip=skip), cuts), whole, atol=TOLERANCE, rtol=0)


@few(4)
@given(cuts=st.lists(st.integers(0, N_TOKENS), max_size=4), skip=st.integers(0, 4))
def test_a_bounded_context_gives_the_same_however_the_stream_is_cut(
    flow: Flow, prompt: Prompt, cuts: list[int], skip: int
) -> None:
    bounded = run(flow.stream(prompt, skip=skip, left_frames=10), cuts)
    torch.testing.assert_close(bounded, run(flow.stream(prompt, skip=skip, left_frames=10), []), atol=1e-5, rtol=0)
    assert (bounded - flow.mel(TOKENS, prompt, block=True, skip=skip)).abs().max() > 1e-3


def test_a_bounded_context_bounds_memory(flow: Flow, prompt: Prompt) -> None:
    stream, sizes = flow.stream(prompt, left_frames=20), []
    for _ in range(5):
        stream.push(TOKENS[0].tolist())
        sizes.append(stream.size_bytes())
    assert sizes[-1] == sizes[2]


def test_without_a_prompt_and_with_blocks_masks_matter(flow: Flow) -> None:
    bare = Prompt(torch.empty(1, 0, dtype=torch.long), torch.empty(1, 80, 0), torch.ones(1, 192))
    block, full = (flow.mel(TOKENS, bare, block=b) for b in (True, False))
    assert block.shape == full.shape == (1, 80, 2 * N_TOKENS)
    assert (block - full).abs().max() > 1e-3


def test_what_has_been_said_does_not_change(flow: Flow, prompt: Prompt) -> None:
    """The head of a longer text is the shorter one's, but for the look-ahead."""
    short = flow.mel(TOKENS[:, :13], prompt, block=True, final=False)
    whole = flow.mel(TOKENS, prompt, block=True)
    n_whole_blocks = (7 + 10) // 5 * 5 * 2 - 14
    torch.testing.assert_close(short[..., :n_whole_blocks], whole[..., :n_whole_blocks], atol=TOLERANCE, rtol=0)


def test_a_prepared_prompt_serves_many(flow: Flow, prompt: Prompt) -> None:
    prepared = flow.stream(prompt)
    first, second = prepared.clone(), prepared.clone()
    a = [first.push(TOKENS[0, :9].tolist())]
    b = run(second, [4])
    a.append(first.push(TOKENS[0, 9:].tolist(), final=True))
    torch.testing.assert_close(torch.cat(a, dim=2), b, atol=TOLERANCE, rtol=0)


def test_needed_says_when_a_block_is_due(flow: Flow, prompt: Prompt) -> None:
    stream = flow.stream(prompt, skip=1)
    while (needed := stream.needed) > 1:
        assert stream.push([3]).shape[2] == 0
        assert stream.needed == needed - 1
    assert stream.push([3]).shape[2] > 0


def test_no_tokens_no_mel_and_no_more_after_the_end(flow: Flow) -> None:
    bare = Prompt(torch.empty(1, 0, dtype=torch.long), torch.empty(1, 80, 0), torch.ones(1, 192))
    stream = flow.stream(bare)
    assert stream.push([], final=True).shape == (1, 80, 0)
    with pytest.raises(ValueError, match="ended"):
        stream.push([1])


def test_start_noise_goes_on_after_five_minutes() -> None:
    noise = StartNoise(2)
    across = noise.frames(14990, 15010)
    assert across.shape == (1, 2, 20)
    assert torch.equal(across[..., :10], noise.frames(14990, 15000))
    assert torch.equal(across[..., 10:], noise.frames(15000, 15010))
    assert not torch.equal(noise.frames(0, 10), noise.frames(15000, 15010))
