"""Weights and inputs that a case does not carry but describes (spec/so_vits_svc.md, section 5)."""

import zlib
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

_OFFSETS = ("bias", "beta", "running_mean", "alpha")
SCHEDULE = ("betas", "alphas_cumprod", "posterior_", "sqrt_", "log_one_minus", "spec_min", "spec_max")


def _normal(key: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
    rng = np.random.Generator(np.random.PCG64(zlib.crc32(key.encode("utf-8"))))
    return np.asarray(rng.standard_normal(shape, dtype=np.float32))


def _plain(key: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """The recipe's value of any tensor but a weight norm's gain."""
    x, last = _normal(key, shape), key.rsplit(".", 1)[-1]
    if last == "gamma" or (last == "weight" and len(shape) == 1):
        return 1 + np.float32(0.1) * x
    if last == "running_var":
        return np.float32(1) + np.float32(0.1) * np.abs(x)
    if last in _OFFSETS or len(shape) <= 1:
        return np.float32(0.1) * x
    return x * np.float32(np.prod(shape[1:]) ** -0.5)


def recipe_tensor(key: str, like: Tensor) -> Tensor:
    """The recipe's value for a tensor of that name, in the shape of `like`; `like` itself where it keeps its own."""
    last = key.rsplit(".", 1)[-1]
    if not like.is_floating_point() or last == "filter" or last.startswith(SCHEDULE):
        return like
    shape = tuple(like.shape)
    if last == "weight_g":
        raise ValueError("a gain needs its weight's shape: use fill")
    return torch.from_numpy(np.asarray(_plain(key, shape)))


def _gain(key: str, weight_v: NDArray[np.float32], shape: tuple[int, ...]) -> NDArray[np.float32]:
    norm = np.sqrt((weight_v.astype(np.float64) ** 2).sum(axis=tuple(range(1, weight_v.ndim)), keepdims=True))
    return np.asarray(norm * (1 + 0.05 * _normal(key, shape).astype(np.float64)), np.float32)


def fill(module: nn.Module, keys: Iterable[str] | None = None) -> None:
    """Give every tensor of `module` the recipe's value, by its name in the state dict.

    Where names share a tensor the last one wins, as it does when a checkpoint is loaded: `flow.wn.*`.
    """
    state = module.state_dict()
    values: dict[str, Tensor] = {}
    for key in keys or state:
        own = state[key]
        if key.endswith(".weight_g"):
            weight_v = _plain(key[:-1] + "v", tuple(state[key[:-1] + "v"].shape))
            values[key] = torch.from_numpy(_gain(key, weight_v, tuple(own.shape)))
        else:
            values[key] = recipe_tensor(key, own)
    module.load_state_dict(values, strict=True)


def rng(seed: int) -> np.random.Generator:
    """The recipe's random generator."""
    return np.random.Generator(np.random.PCG64(seed))


def inputs(n_units: int, n_frames: int, batch: int, seed: int, n_bins: int = 0) -> dict[str, Tensor]:
    """The recipe's inputs of a generator: c [B, C, T], f0, f0_zeroed, uv, vol [B, T], and with `n_bins` spec."""
    source, t = rng(seed), np.arange(n_frames)
    made: dict[str, Any] = {"c": 0.5 * source.standard_normal((batch, n_units, n_frames))}
    made["f0"] = np.stack([220 * 2 ** (0.5 * np.sin(t / 9 + item)) for item in range(batch)])
    made["uv"] = np.ones((batch, n_frames))
    made["uv"][:, n_frames // 4 : n_frames // 4 + max(2, n_frames // 10)] = 0
    made["f0_zeroed"] = made["f0"] * made["uv"]
    made["vol"] = 0.1 * np.abs(source.standard_normal((batch, n_frames)))
    if n_bins:
        made["spec"] = np.abs(source.standard_normal((batch, n_bins, n_frames)))
    return {name: torch.from_numpy(value.astype(np.float32)) for name, value in made.items()}


def speaker_weights(n_frames: int, n_speakers: int) -> Tensor:
    """The recipe's weights of a speaker mix, [T, speakers]."""
    drawn = rng(11).random((n_frames, n_speakers)).astype(np.float32)
    return torch.from_numpy(drawn / drawn.sum(axis=1, keepdims=True))
