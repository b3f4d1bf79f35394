"""`python -m benchmarks voxcpm [--size real | --model FOLDER] [--device cpu]`: our session beside the bare package.

Without --model random weights in the real format: tiny ones of both kinds, or of the real size of 0.5B ("real"), 1.5 or
2. Time and memory are measured, not sound. Both load the same folder, say the same text for the same number of patches,
and take turns, so that the machine's load falls on both. The sound is compared twice: streamed beside streamed, where
the package leaves seams between the chunks of VoxCPM 0.5B and 1.5, and whole beside whole, where nothing may differ.
Then a step of fine-tuning with and without the cache of latents: see benchmarks/voxcpm_training.py.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

TEXT = "Hello world, this is a short test of speech, and it goes on for a while."


def run(args: list[str]) -> dict[str, Any]:
    """First chunk and real-time factor of the bare package and of our session, and the memory of each."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks voxcpm", description=__doc__)
    parser.add_argument("--model", type=Path, help="a model folder (default: tiny ones of both kinds, made here)")
    parser.add_argument("--size", choices=("tiny", *SIZES), default="tiny", help="of random weights; real: 0.5B")
    parser.add_argument("--device", default="cpu", help="cpu or cuda:N (default: cpu)")
    parser.add_argument("--patches", type=int, default=24, help="length of each rendering")
    parser.add_argument("--rounds", type=int, default=5, help="renderings of each kind; the median counts")
    parser.add_argument("--steps", type=int, default=16, help="steps of each kind of training; 0: none")
    options = parser.parse_args(args)
    with tempfile.TemporaryDirectory() as scratch:
        folders = [options.model] if options.model else _random(Path(scratch), options.size)
        runs = [measure(folder, options.device, options.patches, options.rounds) for folder in folders]
        training: dict[str, Any] = {"rows": []}
        if options.steps:
            from benchmarks import voxcpm_training

            model = ["--model", str(folders[0])] if len(folders) == 1 else []
            training = voxcpm_training.run(["--device", options.device, "--steps", str(options.steps), *model])
    return {"runs": runs, "training": training}


ALIKE = 1e-4
SIZES = {"real": "0.5b", "1.5": "1.5", "2": "2"}


def _random(scratch: Path, size: str) -> list[Path]:
    if size in SIZES:
        from benchmarks import _real_size

        return [_real_size.write(scratch / f"voxcpm-{SIZES[size]}", SIZES[size])]
    from tests.engines.voxcpm.tiny import build

    return [build(scratch / name, name) for name in ("voxcpm", "voxcpm2")]


def measure(folder: Path, device: str, n_patches: int, rounds: int) -> dict[str, Any]:
    """One model, both ways. Times in seconds, medians over `rounds`."""
    import numpy as np
    import torch

    from core.engines.voxcpm.engine import load
    from core.engines.voxcpm.options import VoxOptions
    from core.engines.voxcpm.package import module_of

    torch.set_num_threads(1 if device == "cpu" else torch.get_num_threads())
    loaded, load_s = _timed(lambda: load(folder, device))
    engine: Any = loaded
    v2 = engine.net.is_v2
    parts = module_of(engine.net.architecture)
    kind = parts.VoxCPM2Model if v2 else parts.VoxCPMModel
    bare, bare_load_s = _timed(lambda: kind.from_local(str(folder), optimize=False, device=device))
    for some in (engine.net.model, bare):
        some.stop_head.weight.data.zero_()  # it never stops by itself: every rendering has the same length
    wanted = VoxOptions(seed=1, retries=0, max_patches=n_patches)

    def theirs() -> list[Any]:
        torch.manual_seed(1)
        stream = bare.generate_with_prompt_cache_streaming(TEXT, None, max_len=n_patches)
        return [audio[0].float().numpy() for audio, _, _ in _noted(stream, firsts["bare"])]

    def ours() -> list[Any]:
        return [chunk.audio for chunk in _noted(engine.stream(TEXT, wanted), firsts["ours"])]

    def whole() -> list[Any]:
        return [engine.speak(TEXT, wanted).audio]

    def theirs_whole() -> list[Any]:
        torch.manual_seed(1)
        audio, _, _ = bare.generate_with_prompt_cache(TEXT, None, max_len=n_patches)
        return [audio[0].float().numpy()]

    ways: dict[str, Callable[[], list[Any]]] = {
        "bare": theirs,
        "ours": ours,
        "bare, whole": theirs_whole,
        "ours, whole": whole,
    }
    firsts: dict[str, list[float]] = {name: [] for name in ways}
    walls: dict[str, list[float]] = {name: [] for name in ways}
    cpus: dict[str, list[float]] = {name: [] for name in ways}
    sound: dict[str, Any] = {}
    for number in range(rounds + 1):
        for name, way in ways.items():
            cpu = time.process_time()
            audio, seconds = _timed(way)
            sound[name] = np.concatenate(audio)
            if number:  # the first is for warming up
                walls[name].append(seconds)
                cpus[name].append(time.process_time() - cpu)
    length_s = sound["ours"].size / engine.net.sample_rate_hz
    figures = {
        name: {
            "rtf": round(statistics.median(walls[name]) / length_s, 4),
            "cpu_s_per_s": round(statistics.median(cpus[name]) / length_s, 4),
            "first_chunk_s": round(statistics.median(firsts[name][1:]), 4) if firsts[name] else None,
        }
        for name in ways
    }
    memory = {"weights_mb": round(engine.memory_bytes / 2**20, 1), "peak_rss_mb": _peak_mb()}
    if device != "cpu":
        memory["peak_gpu_mb"] = round(torch.cuda.max_memory_allocated() / 2**20, 1)
    return {
        "model": folder.name,
        "device": device,
        "seconds_of_sound": round(length_s, 2),
        "ways": figures,
        "overhead_percent": round(100 * (figures["ours"]["cpu_s_per_s"] / figures["bare"]["cpu_s_per_s"] - 1), 1),
        "largest_difference": float(np.abs(sound["ours"] - sound["bare"]).max()),
        "largest_difference_whole": float(np.abs(sound["ours, whole"] - sound["bare, whole"]).max()),
        "load_s": {"ours": round(load_s, 2), "bare": round(bare_load_s, 2)},
        **memory,
    }


def _timed(work: Callable[[], Any]) -> tuple[Any, float]:
    began = time.perf_counter()
    return work(), time.perf_counter() - began


def _noted(stream: Any, firsts: list[float]) -> Any:
    """Pass a stream on and note when its first piece came."""
    began = time.perf_counter()
    for number, piece in enumerate(stream):
        if number == 0:
            firsts.append(time.perf_counter() - began)
        yield piece


def _peak_mb() -> float:
    import resource  # not on Windows

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (2**20 if sys.platform == "darwin" else 2**10), 1)


def _why(one: dict[str, Any]) -> str:
    """What a difference of streams comes from, where the whole sounds are alike."""
    if one["largest_difference"] < ALIKE or one["largest_difference_whole"] > ALIKE:
        return ""
    return " (the package decodes the last three patches of every chunk anew and cuts the rest off: its seams)"


def markdown(figures: dict[str, Any]) -> str:
    """A table a model."""
    lines = []
    for one in figures["runs"]:
        lines += [
            f"## {one['model']} on {one['device']}, {one['seconds_of_sound']} s of sound",
            "",
            "| | work per second of sound (wall) | CPU per second of sound | first chunk |",
            "|---|---|---|---|",
        ]
        for name, way in one["ways"].items():
            first = "" if way["first_chunk_s"] is None else f"{1000 * way['first_chunk_s']:.0f} ms"
            lines.append(f"| {name} | {way['rtf']} | {way['cpu_s_per_s']} | {first} |")
        lines += [
            "",
            f"CPU of our session against the bare package: {one['overhead_percent']:+.1f} %. Largest difference of the "
            f"sound, full scale 1: {one['largest_difference_whole']:.1e} whole beside whole, "
            f"{one['largest_difference']:.1e} streamed beside streamed{_why(one)}. Loading: "
            f"{one['load_s']['ours']} s, bare {one['load_s']['bare']} s. Weights {one['weights_mb']} MB, peak of the "
            f"process (both models) {one['peak_rss_mb']} MB.",
            "",
        ]
    if figures["training"]["rows"]:
        from benchmarks import voxcpm_training

        lines += ["## Fine-tuning", "", voxcpm_training.markdown(figures["training"])]
    return "\n".join(lines)
