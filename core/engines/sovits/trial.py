"""A few steps on made-up clips of the longest length, in a process of its own: what a preset really takes here.

Run as `python -m core.engines.sovits.trial OPTIONS_JSON DEVICE LONGEST_S`: prints one JSON line {"batch_size",
"accumulate", "peak_bytes", "step_s"} of the largest pieces that fit, or {"error"}. An exit without a line means that
even one clip was too much for the system.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from core.engines.sovits.learner import VoiceLearner
from core.engines.sovits.presets import preset
from core.engines.sovits.recipe import HOP, Batch, Recipe
from core.engines.sovits.recipes import create_recipe
from core.errors import StudioError, Unavailable, from_dict
from core.features.encoders import ENCODERS
from core.paths import REPO_ROOT
from core.training.health import is_out_of_memory, smaller
from core.training.loop import Loop
from core.training.options import TrainOptions, parse_options
from core.training.runs import Run, RunInfo

TIMEOUT_S = 180.0
N_STEPS = 2
"""The second one has the optimisers' moments too."""
RATE_HZ = 44100


def measure(options: TrainOptions, device: str, longest_s: float) -> dict[str, Any]:
    """Try the options' batch, then the same in smaller pieces until they fit.

    Raises:
        Unavailable: not even one clip at a time fits.
    """
    chosen = options.model_copy(update={"adversarial_from_step": 0, "compile": "off"})
    dim = ENCODERS[options.encoder].dim
    config = preset(options.preset, encoder=options.encoder, encoder_dim=dim, speakers=["trial"])
    batch_size = options.batch_size or create_recipe(config, chosen).base_batch_size
    pieces: dict[str, int] | None = {"batch_size": batch_size, "accumulate": options.accumulate}
    while pieces is not None:
        try:
            return {**pieces, **_steps(create_recipe(config, chosen), chosen, pieces["batch_size"], device, longest_s)}
        except (RuntimeError, MemoryError) as err:
            if not is_out_of_memory(err):
                raise
            pieces = smaller(**pieces)
            if device.startswith("cuda"):
                torch.cuda.empty_cache()
    raise Unavailable(
        "Not even one clip at a time fits into the memory.", "Choose a smaller preset, or close other programs."
    )


def _steps(recipe: Recipe, options: TrainOptions, batch_size: int, device: str, longest_s: float) -> dict[str, float]:
    where = torch.device(device)
    with tempfile.TemporaryDirectory() as folder:
        run, info = Run(Path(folder)), RunInfo("trial", "trial", options.preset, options.encoder)
        same = OneBatch(made_up(recipe, batch_size, ENCODERS[options.encoder].dim, longest_s))
        loop = Loop(run, info, VoiceLearner(recipe, options.seed), same, options, where, {})
        batch = same.made.to(where)
        if where.type == "cuda":
            torch.cuda.reset_peak_memory_stats(where)
        for _ in range(N_STEPS):
            began = time.monotonic()
            loop.learn([(0, batch)])
            if where.type == "cuda":
                torch.cuda.synchronize(where)
            step_s = time.monotonic() - began
        return {"peak_bytes": _peak_bytes(where), "step_s": round(step_s, 4)}


class OneBatch:
    """The same batch at every place."""

    steps_per_epoch = 1

    def __init__(self, made: Batch) -> None:
        self.made, self.batch_size = made, len(made.lengths)

    def batch(self, epoch: int, place: int, part: int = 0, parts: int = 1) -> Batch:
        """That batch, whole."""
        return self.made


def made_up(recipe: Recipe, n_items: int, dim: int, longest_s: float) -> Batch:
    """A batch of noise as long as the recipe would cut clips of this length."""
    plan = recipe.segments()
    n_frames = int(longest_s * RATE_HZ) // HOP
    width = plan.n_frames if plan.fixed or n_frames > plan.longer_than else max(1, n_frames)
    draw = torch.Generator().manual_seed(0)
    return Batch(
        units=torch.randn(n_items, dim, width, generator=draw),
        f0_hz=torch.full((n_items, width), 220.0),
        uv=torch.ones(n_items, width),
        volume=torch.full((n_items, width), 0.1),
        audio=0.1 * torch.randn(n_items, 1, width * HOP, generator=draw),
        lengths=torch.full((n_items,), width, dtype=torch.int64),
        sid=torch.zeros(n_items, dtype=torch.int64),
    )


def _peak_bytes(device: torch.device) -> float:
    if device.type == "cuda":
        return float(torch.cuda.max_memory_reserved(device))
    try:  # ru_maxrss would also count the process that started this one, before it became python
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
        return 1024.0 * int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:")))
    except (OSError, StopIteration):  # not Linux
        pass
    try:
        import resource
    except ImportError:  # Windows
        import psutil

        return float(psutil.Process().memory_info().rss)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1.0 if sys.platform == "darwin" else 1024.0)


def measure_in_fresh_process(options: TrainOptions, device: str, longest_s: float) -> dict[str, Any]:
    """`measure` in a new python, which gives all its memory back.

    Raises:
        Unavailable: it does not fit, or gave no answer in time.
    """
    text = json.dumps(options.model_dump())
    command = [sys.executable, "-m", "core.engines.sovits.trial", text, device, str(longest_s)]
    try:
        done = subprocess.run(command, cwd=REPO_ROOT, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
        answer: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    except (subprocess.TimeoutExpired, ValueError, IndexError) as err:
        raise Unavailable("The trial of a few steps gave no answer.", "Start with a smaller batch or preset.") from err
    if "error" in answer:
        raise from_dict(answer["error"])
    return answer


def main(arguments: list[str]) -> int:
    """See the module."""
    options, device, longest_s = parse_options(json.loads(arguments[0])), arguments[1], float(arguments[2])
    try:
        answer: dict[str, Any] = measure(options, device, longest_s)
    except StudioError as err:
        answer = {"error": err.to_dict()}
    sys.stdout.write(json.dumps(answer) + "\n")
    return int("error" in answer)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
