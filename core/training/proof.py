"""Proof that a model can be used: a process that has never seen the training loads it, and its sound can be heard.

An engine has a module that `ask_fresh_process` runs: its `main` calls `answer`.
"""

import json
import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.errors import StudioError, from_dict
from core.paths import REPO_ROOT

SILENT_DB = -60.0
BLOWN_PEAK = 4.0
"""12 dB beyond full scale: no limiter makes that sound right."""
TIMEOUT_S = 600.0
_HINT = "Train it further, or go back to an earlier checkpoint of the run."


class BadRender(StudioError):
    """A model renders something that nobody can use."""

    code = "bad_render"


def check_render(audio: NDArray[np.float32], where: str) -> dict[str, float]:
    """Level figures {"rms_db", "peak"} of a render [N], as it leaves the generator.

    A peak somewhat above full scale is for the output stage to limit; far above it the model is broken.

    Raises:
        BadRender: it is not finite, silent (RMS below -60 dBFS), or 12 dB beyond full scale.
    """
    if audio.size == 0 or not np.isfinite(audio).all():
        raise BadRender(f"{where} renders values that are not numbers.", _HINT)
    rms_db = 20.0 * math.log10(max(float(np.sqrt(np.mean(np.square(audio, dtype=np.float64)))), 1e-10))
    peak = float(np.abs(audio).max())
    if rms_db <= SILENT_DB:
        raise BadRender(f"{where} renders silence ({rms_db:.0f} dBFS).", _HINT)
    if peak > BLOWN_PEAK:
        raise BadRender(f"{where} renders far beyond full scale (peak {peak:.1f}).", _HINT)
    return {"rms_db": round(rms_db, 2), "peak": round(peak, 4)}


def answer(check: Callable[..., dict[str, float]], arguments: list[str]) -> int:
    """In the fresh process: do `check(*paths)`, say the outcome as one JSON line; the exit code."""
    import torch

    torch.set_num_threads(1)  # a few seconds of sound; more threads only wait for each other on a busy machine
    try:
        figures = check(*(Path(one) for one in arguments))
    except StudioError as err:
        sys.stdout.write(json.dumps({"error": err.to_dict()}) + "\n")
        return 1
    sys.stdout.write(json.dumps({"render": figures}) + "\n")
    return 0


def ask_fresh_process(module: str, arguments: list[str], what: str, timeout_s: float = TIMEOUT_S) -> dict[str, Any]:
    """Figures that `python -m MODULE ARGUMENTS` finds.

    Raises:
        StudioError: what the other process found wrong with `what`, or that it ended without an answer.
    """
    command = [sys.executable, "-m", module, *arguments]
    try:
        done = subprocess.run(command, cwd=REPO_ROOT, capture_output=True, text=True, timeout=timeout_s, check=False)
    except subprocess.TimeoutExpired as err:
        raise BadRender(
            f"The check of {what} did not end within {timeout_s:.0f} s.", "Try the voice yourself."
        ) from err
    lines = done.stdout.strip().splitlines()
    try:
        said = json.loads(lines[-1])
    except (IndexError, ValueError) as err:
        raise BadRender(
            f"The check of {what} ended with code {done.returncode} and no answer: {done.stderr.strip()[-300:]}",
            "Look into the log of the job.",
        ) from err
    if "error" in said:
        raise from_dict(said["error"])
    result: dict[str, Any] = said["render"]
    return result
