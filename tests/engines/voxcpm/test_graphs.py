"""The recorded diffusion: the same sound, each LoRA its own recording, and no recording that is wrong.

CUDA graphs need a GPU; on the CPU a TorchScript trace takes their place, which likewise replays one call's operations
with whatever LoRA was on when it was recorded.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from core.engines.voxcpm import graphs
from core.engines.voxcpm.engine import load
from core.engines.voxcpm.options import VoxOptions
from core.speech.chunk import joined
from tests.engines.voxcpm.test_adapters import make_lora

TEXT = "Hello world, this is a short test of speech."


def options(lora: Path | None = None, seed: int = 3) -> VoxOptions:
    return VoxOptions(seed=seed, retries=0, steps=3, max_patches=4, lora=str(lora or ""))


class Traces:
    """Records by tracing, and counts."""

    def __init__(self) -> None:
        self.made = 0

    def __call__(self, forward: graphs.Forward, inputs: tuple[torch.Tensor, ...]) -> graphs.Forward:
        self.made += 1
        with torch.inference_mode(False), torch.no_grad():
            plain = tuple(one.clone() for one in inputs)
            traced: graphs.Forward = torch.jit.trace(lambda *given: forward(*given), plain, check_trace=False)
        return traced


@pytest.fixture
def engine(tiny: Callable[[str], Path]) -> Iterator[Any]:
    made = load(tiny("voxcpm2"))
    yield made
    made.unload()


def test_each_lora_has_its_recording(engine: Any, tiny: Callable[[str], Path], tmp_path: Path) -> None:
    make_lora(tiny("voxcpm2"), tmp_path / "a", "voxcpm2", r=4, seed=1)
    make_lora(tiny("voxcpm2"), tmp_path / "b", "voxcpm2", r=2, seed=2)
    voices = [tmp_path / "a", None, tmp_path / "b"]
    wanted = [joined(engine.stream(TEXT, options(lora))) for lora in voices]
    traces = Traces()
    used = graphs.install(engine.net.model, engine.adapters, traces)
    streams = [engine.stream(TEXT, options(lora)) for lora in voices]
    heard: list[list[np.ndarray]] = [[], [], []]
    for _ in range(5):
        for number, stream in enumerate(streams):
            heard[number] += [chunk.audio for chunk in [next(stream, None)] if chunk is not None]
    assert (traces.made, used.off) == (3, False)
    for parts, sound in zip(heard, wanted, strict=True):
        np.testing.assert_allclose(np.concatenate(parts), sound, atol=1e-5)


@pytest.mark.parametrize("how", ["wrong", "refused"])
def test_a_bad_recording_is_not_used(engine: Any, how: str) -> None:
    wanted = joined(engine.stream(TEXT, options()))

    def record(forward: graphs.Forward, inputs: tuple[torch.Tensor, ...]) -> graphs.Forward:
        if how == "refused":
            raise RuntimeError("CUDA error: operation not permitted when stream is capturing")
        return lambda *given: forward(*given) + 1.0

    used = graphs.install(engine.net.model, engine.adapters, record)
    np.testing.assert_array_equal(joined(engine.stream(TEXT, options())), wanted)
    assert used.off


def test_on_the_cpu_nothing_is_recorded(engine: Any) -> None:
    assert not isinstance(engine.net.model.feat_decoder.estimator.forward, graphs.Graphs)
