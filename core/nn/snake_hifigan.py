"""The NSF-HiFi-GAN decoder with snake activations in place of leaky ReLUs (`nsf-snake-hifigan`)."""

from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar, cast

from torch import Tensor, nn

from core.nn.hifigan import NsfHifiGan, ResBlock1, ResBlock2
from core.nn.snake import AliasFreeSnake


class SnakeBlock1(ResBlock1):
    """Per dilation d: x + conv(snake(conv_d(snake(x)))), every snake its own."""

    def __init__(self, channels: int, kernel_size: int, dilations: Sequence[int]) -> None:
        super().__init__(channels, kernel_size, dilations)
        self.activations = nn.ModuleList(AliasFreeSnake(channels) for _ in range(2 * len(dilations)))

    def forward(self, x: Tensor) -> Tensor:
        firsts, seconds = self.activations[::2], self.activations[1::2]
        for act_1, conv_1, act_2, conv_2 in zip(firsts, self.convs1, seconds, self.convs2, strict=True):
            x = x + conv_2(act_2(conv_1(act_1(x))))
        return x


class SnakeBlock2(ResBlock2):
    """For each of the first two dilations d: x + conv_d(snake(x))."""

    def __init__(self, channels: int, kernel_size: int, dilations: Sequence[int]) -> None:
        super().__init__(channels, kernel_size, dilations)
        self.activations = nn.ModuleList(AliasFreeSnake(channels) for _ in self.convs)

    def forward(self, x: Tensor) -> Tensor:
        for activation, conv in zip(self.activations, self.convs, strict=True):
            x = x + conv(activation(x))
        return x


class SnakeNsfHifiGan(NsfHifiGan):
    """Tensor names are those of so-vits-svc's snake decoder; `snakes` stand before the upsamplings."""

    blocks: ClassVar[Mapping[str, Callable[..., nn.Module]]] = {"1": SnakeBlock1, "2": SnakeBlock2}

    def add_activations(self, channels: Sequence[int]) -> None:
        self.snakes = nn.ModuleList(AliasFreeSnake(count) for count in channels[:-1])
        self.snake_post = AliasFreeSnake(channels[-1])

    def activate(self, x: Tensor, stage: int) -> Tensor:
        return cast(Tensor, self.snakes[stage](x))

    def activate_last(self, x: Tensor) -> Tensor:
        return cast(Tensor, self.snake_post(x))
