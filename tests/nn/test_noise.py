"""Random numbers: one seed, one result, in the order in which torch's own functions would draw them."""

import torch

from core.nn.noise import Noise, NoNoise, as_noise


def seeded() -> Noise:
    return Noise(torch.Generator().manual_seed(5))


def test_numbers_like_a_tensor_are_those_of_randn_like() -> None:
    """For a transposed tensor torch draws in another order than for a contiguous one."""
    for x in (torch.zeros(3, 4, 5), torch.zeros(3, 5, 4).transpose(1, 2), torch.zeros(2, 6, 16).transpose(1, 2)):
        torch.manual_seed(5)
        assert torch.equal(seeded().normal_like(x), torch.randn_like(x))


def test_the_two_orders_differ() -> None:
    x = torch.zeros(1, 8, 16).transpose(1, 2)
    assert not torch.equal(seeded().normal_like(x), seeded().normal(x.shape, x))


def test_no_noise_is_none_and_leaves_generators_alone() -> None:
    state = torch.get_rng_state()
    x = torch.ones(2, 3).t()
    for drawn in (NoNoise().normal((2, 3), x), NoNoise().uniform((4,), x), NoNoise().normal_like(x)):
        assert drawn.abs().max() == 0
    assert torch.equal(state, torch.get_rng_state())


def test_a_generator_or_nothing_will_do() -> None:
    noise = NoNoise()
    assert as_noise(noise) is noise
    assert as_noise(None).generator is None
    first, second = (as_noise(torch.Generator().manual_seed(1)).uniform((3,), torch.zeros(1)) for _ in range(2))
    assert torch.equal(first, second)
    assert 0 <= first.min() <= first.max() < 1
