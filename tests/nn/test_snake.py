"""Snake activations: the filter, what aliasing it avoids, and that files cannot change it."""

import math

import torch

from core.nn.snake import AliasFreeSnake, Downsample, Upsample, kaiser_lowpass
from core.nn.snake_hifigan import SnakeBlock1, SnakeBlock2


def test_the_filter_passes_low_and_stops_high_frequencies() -> None:
    kernel = kaiser_lowpass()
    response = torch.fft.rfft(kernel, 256).abs()
    assert abs(kernel.sum() - 1) < 1e-6
    assert torch.equal(kernel, kernel.flip(0))
    assert response[:16].min() > 0.95  # below a sixteenth of the rate
    assert response[-16:].max() < 0.02


def test_up_and_down_again_gives_the_sound_back() -> None:
    n = torch.arange(400)
    sine = torch.sin(2 * math.pi * 0.05 * n)[None, None]
    up = Upsample()(sine)
    assert up.shape == (1, 1, 800)
    back = Downsample()(up)
    assert (back - sine)[..., 20:-20].abs().max() < 0.02


def test_snake_of_a_constant_is_its_formula() -> None:
    snake = AliasFreeSnake(2)
    with torch.no_grad():
        snake.act.alpha.copy_(torch.tensor([0.3, -0.2]))
        snake.act.beta.copy_(torch.tensor([0.1, 0.4]))
    x = torch.tensor([0.5, -1.5]).view(1, 2, 1).expand(1, 2, 60)
    expected = x + torch.sin(x * torch.exp(snake.act.alpha)[:, None]) ** 2 / torch.exp(snake.act.beta)[:, None]
    torch.testing.assert_close(snake(x), expected, atol=1e-5, rtol=1e-5)


def test_a_rounded_filter_in_a_file_changes_nothing() -> None:
    snake, x = AliasFreeSnake(3), torch.randn(1, 3, 50)
    before = snake(x)
    halved = {name: tensor.half().float() for name, tensor in snake.state_dict().items()}
    halved["upsample.filter"] *= 2
    snake.load_state_dict(halved)
    torch.testing.assert_close(snake(x), before)


def test_inference_mode_first_does_not_spoil_training() -> None:
    snake = AliasFreeSnake(1).double()
    with torch.inference_mode():
        snake(torch.zeros(1, 1, 20, dtype=torch.float64))
    x = torch.randn(1, 1, 20, dtype=torch.float64, requires_grad=True)
    snake(x).sum().backward()
    assert x.grad is not None


def test_blocks_have_a_snake_for_every_convolution() -> None:
    assert len(SnakeBlock1(4, 3, (1, 3, 5)).activations) == 6
    second = SnakeBlock2(4, 3, (1, 3, 5))
    assert len(second.activations) == len(second.convs) == 2
    assert second(torch.zeros(1, 4, 30)).shape == (1, 4, 30)
