"""Handlers for the queue's tests. Workers import this module by PYTHONPATH (see conftest)."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from core.errors import BadInput
from core.jobs.context import JobContext

Params = dict[str, Any]


def sleepy(params: Params, ctx: JobContext) -> Params:
    """Reports progress for `steps` steps of `step_s`; a file `touch` marks that it began."""
    if "touch" in params:
        Path(params["touch"]).write_text(str(os.getpid()))
    steps = params.get("steps", 5)
    for step in range(steps):
        ctx.progress(step / steps, f"step {step}")
        time.sleep(params.get("step_s", 0.05))
    return {"steps": steps, "workspace": str(ctx.settings.workspace), "job": ctx.job_id}


def until_told(params: Params, ctx: JobContext) -> Params:
    """Runs until a file appears; deaf to cancel if `deaf`."""
    Path(params["touch"]).write_text(str(os.getpid()))
    while not Path(params["go"]).exists():
        if not params.get("deaf"):
            ctx.check()
        time.sleep(0.02)
    return {"told": True}


def saves_when_stopped(params: Params, ctx: JobContext) -> Params:
    Path(params["touch"]).write_text("began")
    while not ctx.cancel_requested:
        time.sleep(0.02)
    ctx.report(0.5, "saving")  # must not raise, unlike progress()
    return {"stopped": True, "step": 7}


def bad_input(params: Params, ctx: JobContext) -> Params:
    raise BadInput("song.wav is empty.", "Choose another file.", where="song.wav")


def bug(params: Params, ctx: JobContext) -> Params:
    secret = "only for the log"
    raise ValueError(secret)


def exits(params: Params, ctx: JobContext) -> Params:
    print("the reason, in the log", flush=True)
    os._exit(params["code"])


def kills_itself(params: Params, ctx: JobContext) -> Params:
    os.kill(os.getpid(), getattr(signal, params["signal"]))
    time.sleep(30)
    return {}


def deaf_with_child(params: Params, ctx: JobContext) -> Params:
    """Ignores SIGTERM, and so does a grandchild that has left the session and lost its parent."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    code = (
        "import signal,time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"
    )
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    spawn = (
        "import subprocess,sys; p = subprocess.Popen([sys.executable, '-c', sys.argv[1]], start_new_session=True,"
        " stdout=subprocess.PIPE); p.stdout.readline(); print(p.pid, flush=True)"
    )
    orphan = subprocess.run([sys.executable, "-c", spawn, code], stdout=subprocess.PIPE, check=True).stdout
    assert child.stdout is not None
    child.stdout.readline()
    Path(params["touch"]).write_text(f"{os.getpid()} {child.pid} {int(orphan)}")
    while True:
        time.sleep(0.05)


def leaves_child(params: Params, ctx: JobContext) -> Params:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    return {"child": child.pid}


def disk_full(params: Params, ctx: JobContext) -> Params:
    """Every write of this process fails while it reports progress, then works again."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1, hard))
    try:
        for step in range(20):
            ctx.progress(step / 20, f"step {step}")
            time.sleep(0.06)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    return {"survived": True}


def out_of_disk(params: Params, ctx: JobContext) -> Params:
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        (ctx.settings.workspace / "big.bin").write_bytes(b"x" * 100_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    return {}


def odd_result(params: Params, ctx: JobContext) -> Params:
    return {"path": Path("a/b"), "nan": float("nan"), "pair": (1, 2)}


def not_json(params: Params, ctx: JobContext) -> Params:
    return {"thing": object()}


def missing_package(params: Params, ctx: JobContext) -> Params:
    import a_package_that_is_not_installed  # type: ignore[import-not-found]  # noqa: F401

    return {}


def hangs_at_exit(params: Params, ctx: JobContext) -> Params:
    """Done, but a thread of some library keeps the process."""
    import threading

    threading.Thread(target=time.sleep, args=(600,), daemon=False).start()
    return {"pid": os.getpid()}
