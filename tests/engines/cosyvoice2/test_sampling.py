"""How a token is drawn."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from core.engines.cosyvoice2.config import LanguageModelConfig
from core.engines.cosyvoice2.sampling import RepetitionAwareSampler, nucleus

CONFIG = LanguageModelConfig(speech_tokens=8)


def sampler(seed: int = 0) -> RepetitionAwareSampler:
    return RepetitionAwareSampler(CONFIG, torch.Generator().manual_seed(seed))


def test_the_crossing_token_is_in_the_nucleus() -> None:
    probabilities, ids = nucleus(torch.tensor([0.1, 0.5, 0.0, 0.3, 0.1]), 0.6, 25)
    assert ids.tolist() == [1, 3]
    assert nucleus(torch.full((9,), 1 / 9), 0.99, 3)[1].tolist() == [0, 1, 2]
    assert len(probabilities) == 2


@given(st.integers(0, 2**20), st.sets(st.integers(0, 9), max_size=9))
def test_what_is_banned_is_not_drawn_and_logits_stay(seed: int, banned: set[int]) -> None:
    logits = torch.randn(11, generator=torch.Generator().manual_seed(seed))
    before = logits.clone()
    assert sampler(seed)(logits, [], banned) not in banned
    assert torch.equal(logits, before)


def test_a_token_drawn_a_moment_ago_is_not_drawn_again() -> None:
    logits = torch.tensor([9.0, 1.0, 1.0, 1.0])
    assert sampler()(logits, [], ()) == 0
    assert all(sampler(seed)(logits, [0], ()) != 0 for seed in range(20))
    assert sampler()(logits, [0, *[1] * 10], ()) == 0


def test_requests_draw_their_own_numbers() -> None:
    logits = torch.zeros(11)
    alone = [sampler(3)(logits, [], ()) for _ in range(1)]
    torch.manual_seed(1)
    mine, other = sampler(3), sampler(4)
    other(logits, [], ())
    assert [mine(logits, [], ())] == alone
