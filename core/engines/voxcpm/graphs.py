"""The diffusion transformer as recorded CUDA graphs: one launch instead of a few hundred, for each step of each patch.

Its inputs have the same shapes in every call, so it is recorded once for each of the model's LoRAs and replayed. The
package reaches for `torch.compile`, whose graphs belong to the thread that made them; these are replayed from any
thread, one at a time, under the model's turn. A recording that does not give what the layers give is not used.
"""

import logging
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from core.engines.voxcpm.adapters import Adapter, Adapters

log = logging.getLogger(__name__)

Forward = Callable[..., Tensor]
Record = Callable[[Forward, tuple[Tensor, ...]], Forward]
MOST = 16
"""Recordings that are kept: each holds some megabytes of the GPU."""


class Graphs:
    """Stands in for the `forward` of a module. Call it within the model's turn, in inference mode."""

    def __init__(self, forward: Forward, adapters: Adapters, record: "Record") -> None:
        self._forward, self._adapters, self._record = forward, adapters, record
        # The LoRA is held, so that no other can come to have its id.
        self._recorded: dict[tuple[Any, ...], tuple[Adapter | None, Forward]] = {}
        self.off = False
        """True once recording has failed: the layers themselves are called from then on."""

    def __call__(self, *inputs: Tensor) -> Tensor:
        """What the module gives for these inputs."""
        if self.off or torch.is_grad_enabled():
            return self._forward(*inputs)
        adapter = self._adapters.current
        key = (id(adapter), *((tuple(one.shape), one.dtype) for one in inputs))
        if key not in self._recorded:
            wanted = self._forward(*inputs)
            try:
                replay = self._record(self._forward, inputs)
                same = torch.allclose(replay(*inputs).float(), wanted.float(), rtol=1e-2, atol=1e-2)
            except RuntimeError as err:  # CUDA's, of a driver or a layer that cannot be recorded
                log.warning("the diffusion is not recorded: %s", str(err).partition("\n")[0])
                same = False
            if not same:
                self.off = True
                self._recorded.clear()
                return wanted
            if len(self._recorded) >= MOST:
                self._recorded.clear()
            self._recorded[key] = adapter, replay
        return self._recorded[key][1](*inputs)


def install(model: Any, adapters: Adapters, record: "Record | None" = None) -> Graphs:
    """Let the model's diffusion be recorded as it is used; its tensors keep their names."""
    estimator = model.feat_decoder.estimator
    graphs = Graphs(estimator.forward, adapters, record or record_cuda)
    estimator.forward = graphs
    return graphs


def record_cuda(forward: Forward, inputs: tuple[Tensor, ...]) -> Forward:
    """A CUDA graph of one call. Raises RuntimeError where it cannot be captured."""
    held = tuple(one.clone() for one in inputs)
    aside = torch.cuda.Stream()
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):
        for _ in range(2):  # libraries choose and reserve before anything is recorded
            forward(*held)
    torch.cuda.current_stream().wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    # Only what this thread does may not be recorded; others load models and copy meanwhile.
    with torch.cuda.graph(graph, capture_error_mode="thread_local"):
        out = forward(*held)

    def replay(*fresh: Tensor) -> Tensor:
        for place, one in zip(held, fresh, strict=True):
            place.copy_(one)
        graph.replay()
        return out.clone()  # the next replay writes over it

    return replay
