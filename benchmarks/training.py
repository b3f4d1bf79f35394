"""Speed of training: steps a second, share of time spent waiting for data, peak memory, for each preset.

    python -m benchmarks training [--presets lite,tiny] [--steps 20] [--batch-sizes 4,8] [--precisions fp32,bf16]

The real trainer on made-up clips of 4 to 9 s, its batches through the same stream of threads; no probes and no saves in
the time that counts. Each row in a process of its own, so that memory is that row's. On a GPU also the share of time
it is busy (nvidia-smi's figure, sampled) and the best batch size of each preset and precision.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from core.paths import REPO_ROOT

if TYPE_CHECKING:
    from collections.abc import Callable

    from core.training.stream import BatchStream

CLIPS, SHORTEST_S, LONGEST_S = 24, 4.0, 9.0
WARM_UP_STEPS = 3


def run(args: list[str]) -> dict[str, Any]:
    """Measure every combination; rows of figures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks training", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--presets", default="lite,tiny,standard")
    parser.add_argument("--steps", type=int, default=20, help="steps that are timed")
    parser.add_argument("--batch-sizes", default="0", help="comma separated; 0: the preset's own")
    parser.add_argument("--precisions", default="auto", help="comma separated: auto, fp32, bf16, fp16")
    parser.add_argument("--compile", choices=("off", "on"), default="off")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0: as a job would take")
    parser.add_argument("--device", default="auto")
    options = parser.parse_args(args)
    rows = []
    for preset in options.presets.split(","):
        for precision in options.precisions.split(","):
            for batch_size in options.batch_sizes.split(","):
                wish = {
                    "preset": preset,
                    "precision": precision,
                    "batch_size": int(batch_size),
                    "steps": options.steps,
                    "threads": options.threads,
                    "device": options.device,
                    "compile": options.compile,
                }
                rows.append(_in_fresh_process(wish))
                sys.stderr.write(json.dumps(rows[-1]) + "\n")
    return {"rows": rows, "load": list(os.getloadavg()) if hasattr(os, "getloadavg") else None}


def _in_fresh_process(wish: dict[str, Any]) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.training", json.dumps(wish)]
    done = subprocess.run(command, cwd=REPO_ROOT, capture_output=True, text=True, check=False)
    try:
        row: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    except (ValueError, IndexError):
        return {**wish, "error": f"exit code {done.returncode}: {done.stderr.strip()[-200:]}"}
    return row


def measure(wish: dict[str, Any]) -> dict[str, Any]:
    """Train a few steps in this process; one row."""
    import torch

    from core import device as devices
    from core.engines.sovits.dataset import TrainingSet
    from core.engines.sovits.learner import VoiceLearner
    from core.engines.sovits.presets import preset
    from core.engines.sovits.recipes import create_recipe
    from core.engines.sovits.trial import _peak_bytes
    from core.training.loop import Loop
    from core.training.options import parse_options
    from core.training.runs import Run, RunInfo

    where = torch.device(devices.pick(wish["device"]))
    torch.set_num_threads(devices.threads(wish["threads"]))
    given = {key: wish[key] for key in ("preset", "precision", "batch_size", "compile")}
    options = parse_options({"voice": "-", **given, "adversarial_from_step": 0, "steps": 10**6})
    dim = 256
    config = preset(wish["preset"], encoder="builtin", encoder_dim=dim, speakers=["-"])
    recipe = create_recipe(config, options)
    on_gpu = where.type == "cuda"
    if on_gpu and options.precision != "fp32":
        torch.set_float32_matmul_precision("high")
    batch_size = options.batch_size or recipe.base_batch_size
    with tempfile.TemporaryDirectory() as folder:
        examples = _made_up(Path(folder), dim)
        data = TrainingSet(examples, recipe.segments(), batch_size, 1)
        info = RunInfo("-", "-", wish["preset"], "-")
        loop = Loop(Run(Path(folder)), info, VoiceLearner(recipe, options.seed), data, options, where, {})
        times: list[float] = []
        with loop.stream() as stream, _Busy(on_gpu) as busy:
            for index in range(WARM_UP_STEPS + wish["steps"]):
                if index == WARM_UP_STEPS:
                    loop.by.window.clear()
                    busy.clear()
                began, cpu = time.perf_counter(), time.process_time()
                loop.one_step(stream)
                if on_gpu:
                    torch.cuda.synchronize(where)
                times.append(time.perf_counter() - began)
                spent_cpu = time.process_time() - cpu
        window = loop.by.window
        reading_s = _reading_s(loop.stream, n_batches=20)
        step_s = median(times[WARM_UP_STEPS:])
        return {
            **given,
            "batch_size": batch_size,
            "precision": loop.by.precision,
            "device": devices.info(str(where)).name,
            "threads": torch.get_num_threads(),
            "steps_per_s": round(1.0 / step_s, 3),
            "clips_per_s": round(batch_size / step_s, 2),
            "last_step_cpu_s": round(spent_cpu, 3),
            "batches_read_per_s": round(1.0 / reading_s, 1),
            "waiting_for_data": round(window.data_s / max(window.busy_s, 1e-9), 4),
            "peak_gib": round(_peak_bytes(where) / 2**30, 2),
            "gpu_busy": busy.share,
        }


def _reading_s(open_stream: "Callable[[], BatchStream[Any]]", n_batches: int) -> float:
    """Seconds in which a batch is made and nothing else is done: what a faster device could be fed with."""
    with open_stream() as stream:
        for _ in range(3):
            stream.next()
        began = time.perf_counter()
        for _ in range(n_batches):
            stream.next()
    return (time.perf_counter() - began) / n_batches


def _made_up(folder: Path, dim: int) -> "list[Any]":
    """Clips of noise with features, on disk as preparation and extraction leave them."""
    import wave

    import numpy as np
    import torch

    from core.engines.sovits.dataset import HOP, RATE_HZ, Example
    from core.features.cache import _save
    from core.features.extract import Features

    draw = np.random.default_rng(0)
    examples = []
    for index in range(CLIPS):
        n_frames = int(draw.uniform(SHORTEST_S, LONGEST_S) * RATE_HZ) // HOP
        audio = (draw.normal(size=n_frames * HOP) * 3000).astype("<i2")
        path = folder / f"{index}.wav"
        with wave.open(str(path), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(RATE_HZ)
            file.writeframes(audio.tobytes())
        n_units = n_frames * HOP * 50 // RATE_HZ
        units = torch.from_numpy(draw.normal(size=(n_units, dim)).astype(np.float32))
        f0 = torch.full((n_frames,), 220.0)
        features = folder / f"{index}.safetensors"
        _save(features, Features(units, f0, torch.full((n_frames,), 0.1)), "0" * 64)
        examples.append(Example(str(index), path, features, n_frames))
    return examples


class _Busy:
    """Samples how busy the GPU is while steps are timed."""

    def __init__(self, on: bool) -> None:
        self._on, self._seen = on, list[float]()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "_Busy":
        if self._on:
            self._thread.start()
        return self

    def __exit__(self, *problem: object) -> None:
        self._end.set()
        if self._on:
            self._thread.join()

    def clear(self) -> None:
        """Forget the warm-up."""
        self._seen.clear()

    @property
    def share(self) -> float | None:
        """Mean of the samples, 0..1; None without a GPU."""
        return round(sum(self._seen) / len(self._seen), 3) if self._seen else None

    def _watch(self) -> None:
        from core import device

        while not self._end.wait(2.0):  # nvidia-smi itself averages over up to a second
            found = device.gpu_list()
            if found and found[0].utilisation is not None:
                self._seen.append(found[0].utilisation)


def markdown(figures: dict[str, Any]) -> str:
    """docs/results/training.md."""
    lines = [
        "Each row is the trainer itself with both networks at work, on clips of 4 to 9 s, in a process of its own;",
        "steps/s is the median. Peak memory is the process's on a CPU, torch's reservation on a GPU. *Read/s* is how",
        "many batches a second are made when nothing else is done: a device that is faster by as much as this is above",
        "steps/s would still not wait. *Waits*: share of the time spent waiting for data. GPU columns stay empty where",
        "there is no GPU.",
        "",
        "| preset | device | precision | batch | steps/s | clips/s | CPU s/step | read/s | waits | peak | GPU busy |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in figures["rows"]:
        if "error" in row:
            lines.append(
                f"| {row['preset']} | | {row['precision']} | {row['batch_size']} | {row['error']} | | | | | | |"
            )
            continue
        busy = "–" if row["gpu_busy"] is None else f"{row['gpu_busy']:.0%}"
        lines.append(
            f"| {row['preset']} | {row['device']}, {row['threads']} threads | {row['precision']} | {row['batch_size']} "
            f"| {row['steps_per_s']} | {row['clips_per_s']} | {row['last_step_cpu_s']} "
            f"| {row['batches_read_per_s']} | {row['waiting_for_data']:.1%} | {row['peak_gib']} GiB | {busy} |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(json.dumps(measure(json.loads(sys.argv[1]))) + "\n")
