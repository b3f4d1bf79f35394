"""Kills, cuts and spoils a training in every way we know, resumes it, and compares with one that was left in peace.

    python -m benchmarks crash --trials 500 --json --write docs/results/crash.md

A trial is the real training job (`run_train`, small model, 6 steps, a save each 2) in a forked process. What is told:
whether the final checkpoint is bit-equal to that of the uninterrupted run (weights, optimisers, generators, sampler),
how many steps were lost, and whether a restart or a fallback was ever silent. The check of the exported voice, which
the job makes in a fresh process, is made in the trial's own, itself new, to save the import of torch.
Linux and a C compiler: the n-th write is found by a library that is loaded before the others (shim.c).
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.crash.report import markdown
from core.paths import REPO_ROOT

__all__ = ["build_shim", "markdown", "run"]


def run(args: list[str]) -> dict[str, Any]:
    """Run the trials in a process that has the shim loaded; their figures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks crash")
    parser.add_argument("--trials", type=int, default=500, help="most trials to make")
    parser.add_argument("--seconds", type=float, default=1e9, help="begin no trial after this long")
    parser.add_argument("--seed", type=int, default=0, help="of the random moments and places")
    parser.add_argument("--only", choices=("all", "writes", "others"), default="all", help="which ways to end a run")
    parser.add_argument("--place", type=Path, help="folder to work in (default: the system's)")
    options = parser.parse_args(args)
    with tempfile.TemporaryDirectory(prefix="crash-", dir=options.place) as folder:
        shim = build_shim(Path(folder))
        given = {
            "folder": folder,
            "trials": options.trials,
            "seconds": options.seconds,
            "seed": options.seed,
            "only": options.only,
        }
        environment = {
            **os.environ,
            "LD_PRELOAD": str(shim),
            "TIMBRE_CRASH_SHIM": str(shim),
            "OMP_NUM_THREADS": "1",
            "PYTHONHASHSEED": "0",
        }
        command = [sys.executable, "-m", "benchmarks.crash.series", json.dumps(given)]
        done = subprocess.run(command, cwd=REPO_ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True)
        figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return figures


def build_shim(folder: Path) -> Path:
    """Compile shim.c into `folder`.

    Raises:
        SystemExit: there is no C compiler.
    """
    compiler = next((c for c in ("cc", "gcc", "clang") if shutil.which(c)), None)
    if compiler is None:
        raise SystemExit("This benchmark needs a C compiler (cc, gcc or clang).")
    out = folder / "shim.so"
    source = Path(__file__).with_name("shim.c")
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", str(out), str(source), "-ldl"], check=True)
    return out
