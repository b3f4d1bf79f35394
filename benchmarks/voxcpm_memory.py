"""`python -m benchmarks voxcpm_memory [--size 1.5]`: what training VoxCPM needs, in a model of the real size.

Random weights in the real format, on the CPU but as on a GPU: float32 weights that learn, autocast to bfloat16, frozen
weights of a LoRA in bfloat16. One real step for each way: the loss is computed, gradients flow, the optimiser steps.
Bytes are counted from the tensors that are there: weights, gradients, optimiser state, what autograd holds between
forward and backward pass; beside them what the pre-flight check estimates from config.json alone.

All of these are a constant and so much a layer. Where memory is short, `--full-share 0.25` trains whole models with an
eighth and a quarter of the layers instead, and the page gives the line through both at all layers.
"""

import argparse
import multiprocessing
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

WAYS = (
    ("full", "adamw8bit", True),
    ("full", "adamw8bit", False),
    ("full", "adamw", True),
    ("lora", "adamw", False),
    ("lora", "adamw", True),
)
"""Preset, optimiser, whether activations are checkpointed."""
GB = 1e9


def run(args: list[str]) -> dict[str, Any]:
    """A row for each way."""
    from benchmarks import _real_size

    parser = argparse.ArgumentParser(prog="python -m benchmarks voxcpm_memory", description=__doc__)
    parser.add_argument("--size", choices=_real_size.NAMES, default="1.5", help="which model (default: 1.5)")
    parser.add_argument("--full-share", type=float, default=1.0, help="of the layers, for full tuning (default: 1)")
    parser.add_argument("--seconds", type=float, default=15.0, help="length of the clip (default: 15)")
    parser.add_argument("--clips", type=int, default=1, help="computed at once (default: 1)")
    parser.add_argument("--ways", nargs="+", choices=sorted({way[0] for way in WAYS}), default=["full", "lora"])
    parser.add_argument("--spare-gb", type=float, default=3.0, help="memory that must stay free (default: 3)")
    options = parser.parse_args(args)
    with tempfile.TemporaryDirectory() as scratch:
        made: dict[float, Path] = {}

        def model(share: float) -> Path:
            if share not in made:
                made[share] = _real_size.write(Path(scratch) / str(share), options.size, share=share)
            return made[share]

        rows = [_row(way, options, model) for way in WAYS if way[0] in options.ways]
    return {"size": options.size, "seconds": options.seconds, "clips": options.clips, "rows": rows}


def _row(way: tuple[str, str, bool], options: argparse.Namespace, model: Callable[[float], Path]) -> dict[str, Any]:
    """One way: estimated, and measured where the memory of this machine is enough."""
    import psutil

    from core.engines.voxcpm.sizes import CUDA_BYTES, Sizes
    from core.engines.voxcpm.train_options import VoxTrainOptions, lora_settings

    preset, optimiser, checkpointed = way
    share = options.full_share if preset == "full" else 1.0
    chosen = VoxTrainOptions.model_validate({"voice": "-", "preset": preset, "optimiser": optimiser})
    wide = options.size == "2"
    lora = lora_settings(chosen, wide)

    def estimate(sizes: Sizes) -> float:
        positions = options.clips * sizes.positions(options.seconds, TEXT)
        eight = optimiser != "adamw"
        needed = sizes.memory_bytes(positions, lora, cuda=True, checkpointed=checkpointed, eight_bit=eight)
        return needed - CUDA_BYTES  # there is none here

    whole, here = _sizes(options.size, 1.0, model), _sizes(options.size, share, model)
    positions = whole.positions(options.seconds, TEXT)
    about = {
        "preset": preset,
        "optimiser": optimiser,
        "checkpointed": checkpointed,
        "share": share,
        "positions": positions * options.clips,
        "parameters": whole.parameters,
        "learning": whole.trained(lora),
        "estimate_gb": round(estimate(whole) / GB, 2),
    }
    needed, free = estimate(here), psutil.virtual_memory().available
    if needed + options.spare_gb * GB > free:
        return {**about, "measured": None, "why": f"needs {needed / GB:.1f} GB, {free / GB:.1f} GB are free"}

    def measured(part: float) -> dict[str, Any]:
        # A process of its own: what another way left behind would not be counted.
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as fresh:
            work = (model(part), chosen, lora, checkpointed, positions, options.clips)
            return fresh.submit(_measure, *work).result()

    found = measured(share)
    if share < 1.0:
        half = measured(share / 2)
        found = {name: _extended(half[name], found[name], share) for name in found}
    sys.stderr.write(f"{about} {found}\n")  # it takes minutes
    return {**about, "measured": found}


def _sizes(size: str, share: float, model: Callable[[float], Path]) -> Any:
    """Counts of a model; only those of a share need its files."""
    import json
    from dataclasses import replace

    from benchmarks import _real_size
    from core.engines.voxcpm.sizes import Sizes

    with tempfile.TemporaryDirectory() as empty:
        (Path(empty) / "config.json").write_text(json.dumps(_real_size.config(size, share)), encoding="utf-8")
        vae = model(share if share < 1.0 else SMALL) / "audiovae.safetensors"
        return replace(Sizes.read(Path(empty)), vae_bytes=float(vae.stat().st_size))


def _extended(half: float | None, found: float | None, share: float) -> float | None:
    """The line through the values at share / 2 and share, at 1."""
    if half is None or found is None:
        return None
    return round(found + (found - half) * (1.0 - share) / (share / 2), 3)


SMALL = 0.125
TEXT = "The ferry leaves the harbour at nine, and the sea is calm this morning. "


def _measure(folder: Path, options: Any, lora: Any, checkpointed: bool, positions: int, n_clips: int) -> dict[str, Any]:
    import psutil
    import torch

    from core.engines.voxcpm.batches import Utterance, pack
    from core.engines.voxcpm.learner import VoxLearner
    from core.engines.voxcpm.token_batches import Packed
    from core.engines.voxcpm.trainable import Trainable, checkpoint_activations, load_for_training

    process = psutil.Process()
    before = process.memory_info().rss
    torch.manual_seed(0)
    device = torch.device("cpu")
    net = load_for_training(folder, "cpu", lora)
    if lora is not None:  # as on a GPU: what is frozen stays as it is in the file
        for parameter in net.model.parameters():
            if not parameter.requires_grad:
                parameter.data = parameter.data.to(torch.bfloat16)
        net.model.audio_vae.float()
    if checkpointed:
        checkpoint_activations(net.model)
    network = Trainable(net.model).train()
    learner, by = VoxLearner(network, options), _AsOnGpu(device)
    (name,) = learner.modules
    optimiser = learner.optimiser(name, 1e-5, device)
    text = list(range(110, 128))
    latents = torch.randn(positions - len(text) - 2, net.model.patch_size, net.model.feat_dim)
    batch = Packed(pack([Utterance(text, latents)] * n_clips))
    held = _Held([*net.model.parameters(), *net.model.buffers()])
    began = time.monotonic()
    with _Peak(process) as peak, held:
        learner.learn([(0, batch)], 0, {name: optimiser}, by)
    losses = by.window.means()
    weights = {t.untyped_storage().data_ptr(): t.untyped_storage().nbytes()
               for t in (*net.model.parameters(), *net.model.buffers())}  # fmt: skip
    grads = sum(p.grad.numel() * p.grad.element_size() for p in network.parameters() if p.grad is not None)
    state = sum(t.numel() * t.element_size() for entry in optimiser.state.values() for t in entry.values()
                if isinstance(t, torch.Tensor))  # fmt: skip
    total = sum(weights.values()) + grads + state + held.bytes
    return {
        "weights_gb": round(sum(weights.values()) / GB, 3),
        "gradients_gb": round(grads / GB, 3),
        "state_gb": round(state / GB, 3),
        "held_gb": round(held.bytes / GB, 3),
        "sum_gb": round(total / GB, 2),
        "resident_peak_gb": round((peak.bytes - before) / GB, 2),
        "loss": round(losses["loss/total"], 4),
        "seconds": round(time.monotonic() - began, 1),
    }


class _AsOnGpu:
    """A Descent that computes in bfloat16 here too."""

    def __new__(cls, device: Any) -> Any:
        from core.training.descent import Descent

        class Lowered(Descent):
            def autocast(self) -> Any:
                import torch

                return torch.autocast("cpu", torch.bfloat16)

        return Lowered(device, "fp32")


class _Held:
    """Bytes of the distinct tensors that autograd keeps of the forward passes within, the weights apart."""

    def __init__(self, own: list[Any]) -> None:
        self._own = {t.untyped_storage().data_ptr() for t in own}
        self._seen: dict[int, int] = {}
        self.bytes = 0

    def __enter__(self) -> "_Held":
        import torch

        self._hooks = torch.autograd.graph.saved_tensors_hooks(self._note, lambda kept: kept)
        self._hooks.__enter__()
        return self

    def _note(self, tensor: Any) -> Any:
        import weakref

        storage = tensor.untyped_storage()
        place = storage.data_ptr()
        if place not in self._own and place not in self._seen:
            self._seen[place] = storage.nbytes()
            self.bytes = max(self.bytes, sum(self._seen.values()))
            weakref.finalize(tensor, self._seen.pop, place, None)
        return tensor

    def __exit__(self, *_: object) -> None:
        self._hooks.__exit__(None, None, None)


class _Peak:
    """The most resident memory of this process while the block runs."""

    def __init__(self, process: Any) -> None:
        self._process, self._stop = process, threading.Event()
        self.bytes = 0

    def __enter__(self) -> "_Peak":
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()
        return self

    def _look(self) -> None:
        while not self._stop.wait(0.05):
            self.bytes = max(self.bytes, self._process.memory_info().rss)

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


def markdown(figures: dict[str, Any]) -> str:
    """One table."""
    shares = {row["share"] for row in figures["rows"]} - {1.0}
    line = ""
    if shares:
        share = shares.pop()
        line = (
            f" Rows marked * were run with {share / 2:.1%} and {share:.1%} of the layers; given is the line through "
            "both at all layers, since each figure is a constant and so much a layer."
        )
    lines = [
        f"One training step of VoxCPM {figures['size']} (random weights), {figures['clips']} clip(s) of "
        f"{figures['seconds']:g} s, in GB (10^9 bytes). Held: what autograd keeps for the backward pass, the bfloat16 "
        "copies of learning weights among it. Resident: the most that the process grew by, work space and copies of "
        f"loading included. A GPU needs about 1 GB more for CUDA itself.{line}",
        "",
        "| training | optimiser | checkpointed | learning, million | weights | gradients | state | held | sum "
        "| resident | pre-flight says |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in figures["rows"]:
        star = "" if row["share"] == 1.0 else " *"
        head = f"| {row['preset']}{star} | {row['optimiser']} | {'yes' if row['checkpointed'] else 'no'} "
        head += f"| {row['learning'] / 1e6:.1f} of {row['parameters'] / 1e6:.0f} "
        found = row["measured"]
        if found is None:
            lines.append(f"{head}| not run: {row['why']} |||||| {row['estimate_gb']} |")
            continue
        lines.append(
            f"{head}| {found['weights_gb']} | {found['gradients_gb']} | {found['state_gb']} | {found['held_gb']} "
            f"| {found['sum_gb']} | {found['resident_peak_gb']} | {row['estimate_gb']} |"
        )
    return "\n".join([*lines, ""])
