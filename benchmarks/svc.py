"""Speed and memory of singing voice conversion: the generator, one training step, for each preset.

Two ways of running the same network are timed in turn in one process, so that a busy machine slows both: `plain`, as
it is trained and as upstream runs it (weight norm computed at every call, posterior encoder kept, channels
outermost), and `ours` (`prepare_for_inference`). The best of the repeats counts. Weights are random; that costs the
same as trained ones. Peak memory is the resident size of a fresh process that does only the one thing.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from core.engines.sovits.model import build_generator, prepare_for_inference
from core.engines.sovits.presets import PRESETS, preset
from core.engines.sovits.recipe import HOP, Batch
from core.engines.sovits.recipes import create_recipe
from core.training.options import TrainOptions

RATE_HZ = 44100
ENCODER_DIM = 768
TRAIN_FRAMES, TRAIN_BATCH = 400, 2


def _options(args: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks svc")
    parser.add_argument("--seconds", type=float, default=10.0, help="seconds of audio to convert")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads")
    parser.add_argument("--repeats", type=int, default=5, help="rounds; the best of each counts")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--child", nargs=2, metavar=("PRESET", "TASK"), help=argparse.SUPPRESS)
    return parser.parse_args(args)


def run(args: list[str]) -> dict[str, Any]:
    """Figures by preset: RTF of both ways and their ratio and largest difference, seconds a step, peak GiB."""
    options = _options(args)
    if options.child:
        return _child(options.child[0], options.child[1], options)
    torch.set_num_threads(options.threads)
    result: dict[str, Any] = {"seconds": options.seconds, "threads": options.threads, "device": options.device}
    for name in PRESETS:
        result[name] = {
            **_conversion(name, options),
            "train_step_s": round(_train_step(name, options), 2),
            "infer_peak_gib": _peak_of(name, "infer", options),
            "train_peak_gib": _peak_of(name, "train", options),
        }
    return result


def markdown(figures: dict[str, Any]) -> str:
    """The table of docs/results/svc.md."""
    lines = [
        f"Generator only, {figures['seconds']:g} s of audio, {figures['threads']} threads, {figures['device']}, best "
        "of the repeats, both ways in turn in one run. A training step is one update of generator and discriminator on "
        f"{TRAIN_BATCH} items of {TRAIN_FRAMES} frames ({TRAIN_FRAMES * HOP / RATE_HZ:.1f} s each).",
        "",
        "| preset | parameters (M) | RTF, plain | RTF, ours | times faster | largest difference | step (s) | peak "
        "memory, conversion (GiB) | peak memory, training (GiB) |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name in PRESETS:
        row = figures[name]
        lines.append(
            f"| {name} | {row['parameters_m']} | {row['rtf_plain']} | {row['rtf_ours']} | {row['times_faster']} | "
            f"{row['largest_difference']:.1e} | {row['train_step_s']} | {row['infer_peak_gib']} | "
            f"{row['train_peak_gib']} |"
        )
    about_plain = (
        "Plain is our own network run as upstream runs its: weight norm at every call, the posterior encoder kept, "
        "channels outermost. It is not upstream's program."
    )
    return "\n".join([*lines, "", about_plain, ""])


def _generator(name: str) -> nn.Module:
    torch.manual_seed(0)
    return build_generator(preset(name, encoder="vec768l12", encoder_dim=ENCODER_DIM, speakers=["a"])).eval()


def _inputs(seconds: float, device: str) -> dict[str, Tensor]:
    frames = round(seconds * RATE_HZ / HOP)
    draw = torch.Generator().manual_seed(0)
    inputs = {
        "c": torch.randn(1, ENCODER_DIM, frames, generator=draw),
        "f0": 220 * 2 ** (0.3 * torch.sin(torch.arange(frames) / 30))[None],
        "uv": torch.ones(1, frames),
        "sid": torch.zeros(1, dtype=torch.long),
        "vol": torch.full((1, frames), 0.1),
    }
    return {key: value.to(device) for key, value in inputs.items()}


def _render(generator: nn.Module, inputs: dict[str, Tensor]) -> Callable[[], Tensor]:
    def once() -> Tensor:
        draw = torch.Generator(inputs["c"].device).manual_seed(1)
        audio: Tensor = generator.infer(**inputs, generator=draw)[0]  # type: ignore[operator]
        return audio

    return once


def _timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - started


def _conversion(name: str, options: argparse.Namespace) -> dict[str, Any]:
    plain, ours = _generator(name).to(options.device), _generator(name).to(options.device)
    parameters = sum(p.numel() for p in plain.parameters())
    prepare_for_inference(ours, options.device)
    inputs = _inputs(options.seconds, options.device)
    ways = {"plain": _render(plain, inputs), "ours": _render(ours, inputs)}
    difference = float((ways["plain"]() - ways["ours"]()).abs().max())
    best = dict.fromkeys(ways, float("inf"))
    for _ in range(options.repeats):
        for way, work in ways.items():
            best[way] = min(best[way], _timed(work))
    return {
        "parameters_m": round(parameters / 1e6, 1),
        "rtf_plain": round(best["plain"] / options.seconds, 4),
        "rtf_ours": round(best["ours"] / options.seconds, 4),
        "times_faster": round(best["plain"] / best["ours"], 2),
        "largest_difference": difference,
    }


def _stepper(name: str, device: str) -> Callable[[], object]:
    """One update of both networks, as the trainer does it."""
    torch.manual_seed(0)
    config = preset(name, encoder="vec768l12", encoder_dim=ENCODER_DIM, speakers=["a"])
    recipe = create_recipe(config, TrainOptions(voice="a", preset=name, steps=2, adversarial_from_step=0))  # type: ignore[arg-type]
    assert recipe.discriminator is not None
    recipe.generator.to(device).train()
    recipe.discriminator.to(device).train()
    optimisers = [torch.optim.AdamW(m.parameters(), 1e-4) for m in (recipe.generator, recipe.discriminator)]
    frames = TRAIN_FRAMES
    batch = Batch(
        units=torch.randn(TRAIN_BATCH, ENCODER_DIM, frames),
        f0_hz=torch.full((TRAIN_BATCH, frames), 220.0),
        uv=torch.ones(TRAIN_BATCH, frames),
        volume=torch.full((TRAIN_BATCH, frames), 0.1),
        audio=0.1 * torch.randn(TRAIN_BATCH, 1, frames * HOP),
        lengths=torch.full((TRAIN_BATCH,), frames),
        sid=torch.zeros(TRAIN_BATCH, dtype=torch.long),
    ).to(device)

    def step() -> None:
        ready = recipe.prepare_batch(batch)
        outputs = recipe.forward(ready, 1)
        judged = recipe.discriminator_losses(ready, outputs, 1)
        assert judged is not None
        assert recipe.discriminator is not None
        optimisers[1].zero_grad(set_to_none=True)
        judged.total.backward()  # type: ignore[no-untyped-call]
        optimisers[1].step()
        recipe.discriminator.requires_grad_(False)
        losses = recipe.generator_losses(ready, outputs, 1)
        optimisers[0].zero_grad(set_to_none=True)
        losses.total.backward()  # type: ignore[no-untyped-call]
        optimisers[0].step()
        recipe.discriminator.requires_grad_(True)

    return step


def _train_step(name: str, options: argparse.Namespace) -> float:
    step = _stepper(name, options.device)
    step()
    return min(_timed(step) for _ in range(max(2, options.repeats // 2)))


def _peak_of(name: str, task: str, options: argparse.Namespace) -> float | None:
    command = [sys.executable, "-m", "benchmarks", "svc", "--json", "--child", name, task]
    command += ["--seconds", str(options.seconds), "--threads", str(options.threads), "--device", options.device]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    peak: float | None = json.loads(done.stdout.splitlines()[-1])["figures"]["peak_gib"]
    return peak


def _child(name: str, task: str, options: argparse.Namespace) -> dict[str, Any]:
    torch.set_num_threads(options.threads)
    if task == "infer":
        generator = prepare_for_inference(_generator(name).to(options.device), options.device)
        _render(generator, _inputs(options.seconds, options.device))()
    else:
        _stepper(name, options.device)()
    return {"peak_gib": _own_peak_gib()}


def _own_peak_gib() -> float | None:
    """Largest resident memory of this process, GiB; None where the system does not tell.

    Not `getrusage`: its figure survives exec, so a child would report the parent that started it.
    """
    status = Path("/proc/self/status")
    if not status.is_file():
        return None
    kib = next(line.split()[1] for line in status.read_text("ascii").splitlines() if line.startswith("VmHWM"))
    return round(int(kib) / 2**20, 2)
