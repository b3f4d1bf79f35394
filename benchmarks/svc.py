"""Speed and memory of singing voice conversion: the generator, a whole conversion, one training step, by preset.

`plain` is the same network with the same weights run in upstream's way (`benchmarks._plain`): weight norm computed at
every call, channels outermost, the posterior encoder kept, the source's phase summed sample by sample. `ours` is what
the studio runs. Both take turns in one process, so that a busy machine slows both alike, and the best of the repeats
counts. CPU seconds stand beside the clock because they change less when other programs run. Weights are random, which
costs the same as trained ones. Peak memory is the resident size of a fresh process that does only the one thing.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks._plain import as_upstream, training_step
from benchmarks.prep import peak_rss_bytes
from core.engines.sovits.model import build_generator, prepare_for_inference
from core.engines.sovits.presets import PRESETS, preset
from core.engines.sovits.recipe import HOP, Batch, Recipe
from core.engines.sovits.recipes import create_recipe
from core.engines.sovits.vits_recipe import VitsRecipe
from core.training.options import TrainOptions

RATE_HZ = 44100
ENCODER_DIM = 768
TRAIN_FRAMES, TRAIN_BATCH = 400, 2
WAYS = ("plain", "ours")


def _options(args: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks svc")
    parser.add_argument("--seconds", type=float, default=10.0, help="seconds of audio to convert")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads")
    parser.add_argument("--repeats", type=int, default=5, help="rounds; the best of each counts")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--presets", nargs="+", choices=PRESETS, default=list(PRESETS))
    parser.add_argument("--child", nargs=3, metavar=("TASK", "PRESET", "WAY"), help=argparse.SUPPRESS)
    return parser.parse_args(args)


def run(args: list[str]) -> dict[str, Any]:
    """Figures by preset; the keys are those of `_speed`, `_conversion` and the peaks."""
    options = _options(args)
    if options.child:
        task, name, way = options.child
        return _child(task, name, way, options)
    result: dict[str, Any] = {key: getattr(options, key) for key in ("seconds", "threads", "device", "repeats")}
    for name in options.presets:
        figures = _in_child("render", name, "both", options)
        figures |= _in_child("train", name, "both", options) | _in_child("convert", name, "ours", options)
        for task in ("render", "train"):
            for way in WAYS if name != "lite" else WAYS[1:]:
                figures[f"{task}_peak_gib_{way}"] = _in_child(f"{task}-once", name, way, options)["peak_gib"]
        result[name] = figures
    return result


def markdown(figures: dict[str, Any]) -> str:
    """The tables of docs/results/svc.md."""
    seconds, threads = figures["seconds"], figures["threads"]
    presets = [name for name in PRESETS if name in figures]
    conversion = [
        "| preset | parameters | RTF plain | RTF ours | times faster | CPU s plain | CPU s ours | times less | largest "
        "difference | whole conversion, RTF | peak plain | peak ours |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    training = [
        "| preset | step plain | step ours | times faster | CPU s plain | CPU s ours | times less | peak plain | peak "
        "ours |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name in presets:
        row = figures[name]
        peaks = [f"{row[f'render_peak_gib_{way}']} GiB" if f"render_peak_gib_{way}" in row else "-" for way in WAYS]
        cells = [f"{row['parameters_m']} M", *_pair(row, "render", 1 / seconds), f"{row['largest_difference']:.1e}"]
        conversion.append(f"| {' | '.join([name, *cells, str(row['convert_rtf']), *peaks])} |")
        peaks = [f"{row[f'train_peak_gib_{way}']} GiB" if f"train_peak_gib_{way}" in row else "-" for way in WAYS]
        training.append(f"| {' | '.join([name, *_pair(row, 'train', 1.0), *peaks])} |")
    return "\n".join(
        [
            f"{seconds:g} s of audio, {threads} threads, {figures['device']}, best of {figures['repeats']} repeats. "
            "Plain is our own network run in upstream's way (weight norm at every call, channels outermost, posterior "
            "encoder kept, phase summed sample by sample), not upstream's program; ours is what the studio runs. "
            "`lite` has no such other way.",
            "",
            "## Conversion",
            "",
            "RTF is of the generator alone, seconds of work for a second of audio. The whole conversion reads a file, "
            "finds units (built-in encoder) and pitch (FCPE), renders and writes a file; loading models is included.",
            "",
            *conversion,
            "",
            "## One training step",
            "",
            f"An update of generator and discriminator on {TRAIN_BATCH} items of {TRAIN_FRAMES} frames "
            f"({TRAIN_FRAMES * HOP / RATE_HZ:.1f} s each), float32. Plain judges both audios twice, one a pass, and "
            "freezes nothing.",
            "",
            *training,
            "",
            "Peaks are resident memory, Python and torch included (about 0.5 GiB).",
            "",
        ]
    )


def _pair(row: dict[str, Any], task: str, scale: float) -> list[str]:
    """Clock and CPU cells of both ways."""
    cells = []
    for measure, factor in (("s", scale), ("cpu_s", 1.0)):
        ours = row[f"{task}_{measure}_ours"]
        plain = row.get(f"{task}_{measure}_plain")
        cells += [f"{plain * factor:.3f}" if plain else "-", f"{ours * factor:.3f}"]
        cells.append(f"{plain / ours:.2f}" if plain else "-")
    return cells


# ---- processes


def _in_child(task: str, name: str, way: str, options: argparse.Namespace) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks", "svc", "--json", "--child", task, name, way]
    command += ["--seconds", str(options.seconds), "--threads", str(options.threads), "--device", options.device]
    command += ["--repeats", str(options.repeats)]
    # Threads that wait for each other by spinning burn whole cores where other programs run too, and would be
    # counted as work; both ways wait by sleeping here.
    environment = {**os.environ, "OMP_NUM_THREADS": str(options.threads), "OMP_WAIT_POLICY": "passive"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed ({done.returncode}): {done.stderr[-2000:]}")
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])["figures"]
    return figures


def _child(task: str, name: str, way: str, options: argparse.Namespace) -> dict[str, Any]:
    torch.set_num_threads(options.threads)
    if task == "convert":
        return _conversion(name, options)
    if task == "render":
        return _rendering(name, options)
    ways = [way] if way in WAYS else [w for w in WAYS if name != "lite" or w == "ours"]
    if task == "train":
        return _speed("train", {w: _stepper(name, options.device, w) for w in ways}, max(2, options.repeats // 2))
    (_renderer if task == "render-once" else _stepper_of)(name, options, ways[0])()
    return {"peak_gib": round(peak_rss_bytes() / 2**30, 2)}


def _speed(task: str, ways: dict[str, Callable[[], object]], repeats: int) -> dict[str, Any]:
    """Best clock and CPU seconds of each way, in turn, after one round to warm up."""
    best: dict[str, float] = {}
    for turn in range(repeats + 1):
        for way, work in ways.items():
            wall, cpu = time.perf_counter(), time.process_time()
            work()
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            spent = {"s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu}
            for measure, value in spent.items():
                key = f"{task}_{measure}_{way}"
                if turn:
                    best[key] = min(best.get(key, value), value)
    return {key: round(value, 4) for key, value in best.items()}


# ---- rendering


def _generator(name: str) -> nn.Module:
    torch.manual_seed(0)
    return build_generator(preset(name, encoder="vec768l12", encoder_dim=ENCODER_DIM, speakers=["a"])).eval()


def _renderer(name: str, options: argparse.Namespace, way: str) -> Callable[[], Tensor]:
    """Renders the same made-up clip with the same noise at every call."""
    generator = _generator(name).to(options.device)
    generator = prepare_for_inference(generator, options.device) if way == "ours" else as_upstream(generator)
    frames = round(options.seconds * RATE_HZ / HOP)
    draw = torch.Generator().manual_seed(0)
    units = torch.randn(1, ENCODER_DIM, frames, generator=draw)
    f0 = 220 * 2 ** (0.3 * torch.sin(torch.arange(frames) / 30))[None]
    uv, sid, vol = torch.ones(1, frames), torch.zeros(1, dtype=torch.long), torch.full((1, frames), 0.1)
    inputs = [value.to(options.device) for value in (units, f0, uv, sid, vol)]

    def once() -> Tensor:
        noise = torch.Generator(options.device).manual_seed(1)
        audio: Tensor = generator.infer(*inputs, generator=noise)[0]  # type: ignore[operator]
        return audio

    return once


def _rendering(name: str, options: argparse.Namespace) -> dict[str, Any]:
    ways = {way: _renderer(name, options, way) for way in WAYS if name != "lite" or way == "ours"}
    audios = [work() for work in ways.values()]
    return {
        "parameters_m": round(sum(p.numel() for p in _generator(name).parameters()) / 1e6, 1),
        "largest_difference": float((audios[0] - audios[-1]).abs().max()),
        **_speed("render", dict(ways), options.repeats),
    }


# ---- training


def _stepper_of(name: str, options: argparse.Namespace, way: str) -> Callable[[], object]:
    return _stepper(name, options.device, way)


def _stepper(name: str, device: str, way: str) -> Callable[[], object]:
    """One update of both networks."""
    torch.manual_seed(0)
    config = preset(name, encoder="vec768l12", encoder_dim=ENCODER_DIM, speakers=["a"])
    recipe = create_recipe(config, TrainOptions(voice="a", preset=name, steps=2, adversarial_from_step=0))  # type: ignore[arg-type]
    assert recipe.discriminator is not None
    recipe.generator.to(device).train()
    recipe.discriminator.to(device).train()
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
    if way == "plain" and isinstance(recipe, VitsRecipe):
        return training_step(recipe, batch)
    return _our_step(recipe, recipe.discriminator, batch)


def _our_step(recipe: Recipe, judge: nn.Module, batch: Batch) -> Callable[[], object]:
    """The trainer's order of things (`core.engines.sovits.trainer`)."""
    fused = batch.units.device.type == "cuda" or None
    optimisers = [torch.optim.AdamW(m.parameters(), 1e-4, fused=fused) for m in (recipe.generator, judge)]

    def step() -> None:
        ready = recipe.prepare_batch(batch)
        outputs = recipe.forward(ready, 1)
        judged = recipe.discriminator_losses(ready, outputs, 1)
        assert judged is not None
        optimisers[1].zero_grad(set_to_none=True)
        judged.total.backward()  # type: ignore[no-untyped-call]
        optimisers[1].step()
        judge.requires_grad_(False)
        losses = recipe.generator_losses(ready, outputs, 1)
        optimisers[0].zero_grad(set_to_none=True)
        losses.total.backward()  # type: ignore[no-untyped-call]
        optimisers[0].step()
        judge.requires_grad_(True)

    return step


# ---- the whole way


def _conversion(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """A file converted to a file by the job itself, with a voice of random weights: RTF, best of three."""
    from core.audio.encode import write_audio
    from core.audio.synthetic import WOMAN, recording
    from core.dataset.voices import VoiceStore
    from core.engines.sovits.config import save_config
    from core.engines.sovits.convert import run_convert
    from core.engines.sovits.export import export_model
    from core.features import encoders
    from core.jobs.context import ForegroundContext
    from core.settings import load_settings

    with tempfile.TemporaryDirectory(prefix="svc-") as folder:
        settings = load_settings({"workspace": folder, "device": options.device, "threads": options.threads}, env={})
        encoder = encoders.create("builtin", options.device, settings)
        config = preset(name, encoder="builtin", encoder_dim=encoder.dim, speakers=["a"])
        voice = VoiceStore(settings.voices_dir).create("Benchmark")
        save_config(config, voice.path / "config.json")
        card = {"voice": voice.name, "preset": name, "step": 0, "run": "random", "created": 1.0, "f0_median": 200.0}
        card |= {"encoder": "builtin", "encoder_fingerprint": encoder.fingerprint}
        export_model(voice.models / "random", build_generator(config), voice.path / "config.json", card)
        audio, rate_hz = recording(options.seconds, WOMAN)
        source = Path(folder) / "speech.wav"
        write_audio(source, audio, rate_hz, "wav", {})
        params = {"voice": voice.name, "source": str(source)}
        found = [run_convert(params, ForegroundContext(settings))["rtf"] for _ in range(3)]
    return {"convert_rtf": round(min(found), 3)}
