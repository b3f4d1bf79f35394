"""Several processes that train one run together on this machine: started, followed, stopped and ended as one.

The job's own process trains nothing then. It starts one process for each rank (`core.training.launch`), passes on what
the first one reports, asks all to stop when a stop is asked for, and ends all when one of them dies: a gradient that
never comes would make the others wait for ever. What was saved is whole, and the run goes on from there.

Several machines: see docs/cluster.md.
"""

import contextlib
import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from core import device
from core.errors import BadInput, Cancelled, StudioError, from_dict
from core.jobs.failures import ended_how
from core.paths import REPO_ROOT
from core.training.health import OutOfMemory
from core.training.options import RunOptions
from core.training.runs import Run
from core.training.session import HANDED_OVER, begin

if TYPE_CHECKING:
    from core.jobs.context import JobContext

STORE = "TIMBRE_RANKS_STORE"
"""Environment variable: the file through which the ranks find each other."""
LAST_WORDS_S = 10.0
"""How long the others may take to say what is wrong, once one has ended badly."""
_TICK_S = 0.2


class RankLost(StudioError):
    """One of the processes that train together ended, and with it the others."""

    code = "rank_lost"


def gpus(devices: str) -> list[int]:
    """The GPUs that "0,1" or "0-1" name, in that order.

    Raises:
        BadInput: something else, or a GPU named twice.
    """
    words = [word.strip() for word in devices.replace("-", ",").split(",")] if devices.strip() else []
    if not all(word.isascii() and word.isdigit() for word in words) or len({int(word) for word in words}) < len(words):
        raise BadInput(f"{devices!r} does not name GPUs.", 'Name each by its number: "0,1".', where="devices")
    return [int(word) for word in words]


def count(options: RunOptions) -> int:
    """How many processes a run of these options is trained by. Raises BadInput."""
    named = gpus(options.devices)
    if named and options.ranks not in (0, len(named)):
        raise BadInput(
            f"{options.ranks} processes cannot share {len(named)} GPUs.",
            "Leave 'ranks' at 0: there is one process for each GPU that 'devices' names.",
            where="ranks",
        )
    return len(named) or max(1, options.ranks)


def joined() -> bool:
    """Whether this process is one of several already, started here or by torchrun."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


@dataclass
class _Rank:
    number: int
    process: "subprocess.Popen[str]"
    answer: dict[str, Any] = field(default_factory=dict)


def train(params: dict[str, Any], ctx: "JobContext", model: type[RunOptions]) -> dict[str, Any]:
    """Train a run by several processes; the result is that of the first one.

    Args:
        params, ctx: as `core.training.job.train`.
        model: the options of the run's engine.

    Raises:
        RankLost: a process ended by itself; run.json says so, and the run can be resumed.
        StudioError: what a rank found wrong.
    """
    run, _, options = begin(params, ctx.settings, model)
    with tempfile.TemporaryDirectory(prefix="ranks-") as folder:
        group = _Group(ctx)
        try:
            group.start(run.name, options, Path(folder))
            return group.follow()
        except Cancelled:
            raise
        except StudioError as err:
            note_end(run, err)
            raise
        finally:
            group.end()


def note_end(run: Run, err: StudioError) -> None:
    """Note a failure in run.json: the process that trained could not, or only knew that others were gone."""
    info = run.read()
    info.state, info.error, info.pid, info.pid_started = "failed", err.to_dict(), None, None
    info.offer = err.offer if isinstance(err, OutOfMemory) else None
    with contextlib.suppress(StudioError):
        run.write(info)


class _Group:
    """The processes of one run."""

    def __init__(self, ctx: "JobContext") -> None:
        self._ctx = ctx
        self._said: queue.SimpleQueue[tuple[int, dict[str, Any]]] = queue.SimpleQueue()
        self._ranks: list[_Rank] = []

    def start(self, run: str, options: RunOptions, folder: Path) -> None:
        """Start all. `folder`: empty, for what they are told and where they meet. Raises BadInput, OSError."""
        settings, n_ranks = self._ctx.settings, count(options)
        threads = max(1, device.threads(settings.threads) // n_ranks)
        # `devices` is seen by the ranks as cuda:0, cuda:1 ...
        chosen = {"threads": threads, **({"device": "auto"} if options.devices else {})}
        text = settings.model_copy(update=chosen).for_worker()
        (folder / "settings.json").write_text(text, encoding="utf-8")
        (folder / "params.json").write_text(json.dumps({"resume": run}), encoding="utf-8")
        shared = {
            **os.environ,
            **_visible(gpus(options.devices)),
            "WORLD_SIZE": str(n_ranks),
            "OMP_NUM_THREADS": str(threads),
            "PYTHONUTF8": "1",
            STORE: str(folder / "store"),
            HANDED_OVER: run,
        }
        for number in range(n_ranks):
            self._ranks.append(self._start(number, folder, shared))

    def _start(self, number: int, folder: Path, shared: dict[str, str]) -> _Rank:
        environment = {**shared, "RANK": str(number), "LOCAL_RANK": str(number)}
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "core.training.launch", "--follow"),
                *("--settings", str(folder / "settings.json"), "--params", str(folder / "params.json")),
            ],
            cwd=REPO_ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
        assert process.stdout is not None
        threading.Thread(target=self._listen, args=(number, process.stdout), daemon=True).start()
        return _Rank(number, process)

    def _listen(self, number: int, lines: IO[str]) -> None:
        for line in lines:
            with contextlib.suppress(ValueError):  # what a library prints is not for us
                said = json.loads(line)
                if isinstance(said, dict):
                    self._said.put((number, said))

    def follow(self) -> dict[str, Any]:
        """Until all have ended; the first one's result. Raises RankLost, StudioError."""
        asked = False
        lost: _Rank | None = None
        deadline = float("inf")
        while any(rank.process.poll() is None for rank in self._ranks) and time.monotonic() < deadline:
            self._hear()
            if self._ctx.cancel_requested and not asked:
                asked = True
                self._ask_to_stop()
            # The one that ended first is the cause; the others end because of it.
            if lost is None:
                lost = next((rank for rank in self._ranks if rank.process.poll() not in (None, 0)), None)
                deadline = time.monotonic() + LAST_WORDS_S if lost else deadline
        self._hear(0.5)
        return self._outcome(lost)

    def _outcome(self, lost: _Rank | None) -> dict[str, Any]:
        for rank in ([lost] if lost else []) + self._ranks:  # what the first that ended says is the cause
            if "error" in rank.answer:
                raise from_dict(rank.answer["error"])
        first = self._ranks[0]
        if lost is None and "result" in first.answer:
            result: dict[str, Any] = first.answer["result"]
            return result
        gone = lost or first
        end = ended_how(gone.process.poll())
        raise RankLost(
            f"Process {gone.number + 1} of the {len(self._ranks)} that train together {end}.",
            "The others were ended too. Resume the run: it goes on from its last checkpoint.",
            where=str(self._ctx.log_path or ""),
        )

    def _hear(self, patience_s: float = _TICK_S) -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                number, said = self._said.get(timeout=patience_s)
                self._ranks[number].answer.update(said)
                if "message" in said:
                    self._ctx.report(said.get("progress"), said["message"])

    def _ask_to_stop(self) -> None:
        for rank in self._ranks:
            assert rank.process.stdin is not None
            with contextlib.suppress(OSError):  # it has ended
                rank.process.stdin.close()

    def end(self) -> None:
        """Leave none behind."""
        for rank in self._ranks:
            if rank.process.poll() is None:
                rank.process.kill()
            rank.process.wait()


def _visible(named: list[int]) -> dict[str, str]:
    """What makes GPUs 0, 1 ... of a process be these. Numbers count within what this process sees itself."""
    if not named:
        return {}
    before = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    seen = [name.strip() for name in before.split(",")] if before.strip() else []
    try:
        return {"CUDA_VISIBLE_DEVICES": ",".join(seen[index] if seen else str(index) for index in named)}
    except IndexError as err:
        raise BadInput(f"There is no GPU {max(named)} here.", "See `app.py doctor`.", where="devices") from err
