"""The training job, whatever the engine: begun or resumed, on every rank, and ended truly.

`core.training.learner` says how an engine plugs in.
"""

import contextlib
import hashlib
import json
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic

import torch

from core import device as devices
from core.training import parallel, random_state, reproduce
from core.training.alive import host
from core.training.loop import Fit, Loop
from core.training.metrics import MetricsLog
from core.training.options import Options
from core.training.parallel import Ranks
from core.training.runs import Run, RunInfo
from core.training.saving import patiently
from core.training.session import begin, guarded
from core.training.stopfile import FileContext

if TYPE_CHECKING:
    from core.jobs.context import JobContext

log = logging.getLogger(__name__)

PREPARED, TRAINED = 0.1, 0.98
"""Shares of a job's progress at which the data is ready and the last step is done."""


@dataclass(frozen=True)
class Session(Generic[Options]):
    """One start of a run, on one rank."""

    run: Run
    info: RunInfo
    options: Options
    ctx: "JobContext"
    device: torch.device
    ranks: Ranks
    threads: int

    @property
    def preparing(self) -> "JobContext":
        """The context for what comes before the first step."""
        return self.ctx.sub(0.0, PREPARED)

    @contextlib.contextmanager
    def first_before_others(self) -> Iterator[None]:
        """The body runs on the first rank alone, then on the others: it makes files that they find."""
        if not self.ranks.first:
            self.ranks.wait()
        yield
        if self.ranks.first:
            self.ranks.wait()

    def global_batch(self, size: int) -> int:
        """Items of a step over all ranks and accumulated parts, of `size` computed at once."""
        return size * self.options.accumulate * self.ranks.count

    def about(self, data_hash: str) -> dict[str, Any]:
        """Lines for each checkpoint's manifest."""
        config = hashlib.sha256(self.run.config_file.read_bytes()).hexdigest()
        return {"config_sha256": config, "data_hash": data_hash, "versions": self.info.versions}

    def note_data(self, data_hash: str, what: str) -> None:
        """Say it where a resumed run goes on with other data. `what`: how much there is now ("12 clips").

        Call before data.json is written.
        """
        info, file = self.info, self.run.data_file
        before = info.manifest.get("data_hash")
        if file.is_file():
            before = json.loads(file.read_text(encoding="utf-8")).get("data_hash")
        if before is not None and before != data_hash:
            note = f"The clips changed before step {info.step}: the run went on with {what}."
            if note not in info.notes:
                info.notes.append(note)

    def fit(self, loop: Loop[Any]) -> Fit:
        """Resume or start, train, and keep the run's papers: manifest.json, the session in run.json, the metrics."""
        run, info = self.run, self.info
        resumed = loop.restore()
        if not self.ranks.first:
            return loop.fit(self.ctx, None)
        here = {"device": devices.info(str(self.device)).name, "threads": self.threads, "ranks": self.ranks.count}
        reproduce.write_manifest(run, info, self.options, {**here, "precision": loop.by.precision})
        if not resumed and info.sessions:
            info.notes.append("Nothing had been saved when the run ended: it starts from its first step again.")
        info.sessions.append({"at": time.time(), "from_step": loop.step, "host": host(), **here})
        info.state = "running"
        run.write(info)
        log.info(
            "run %s: %d steps an epoch, %s on %s, %d ranks, from step %d",
            *(run.name, loop.batches.steps_per_epoch, loop.by.precision, self.device, self.ranks.count, loop.step),
        )
        with MetricsLog(run.path, purge_step=loop.step + 1 if resumed else None) as metrics:
            if not resumed:
                metrics.text(0, "options", "```json\n" + json.dumps(info.options, indent=1) + "\n```")
            return loop.fit(self.ctx.sub(PREPARED, TRAINED), metrics)

    def finish(self, fit: Fit, export: Callable[[bool], tuple[Path, dict[str, Any]]]) -> dict[str, Any]:
        """Export what there is; the job's result. A full disk makes it wait.

        A run is "completed" only if `export(True)` returns. A stopped run claims nothing, and a person waits for it to
        end: what it has is exported without that check.

        Args:
            fit: how the loop ended.
            export: (whether to verify in a fresh process) -> (folder of the model, figures of a render). Raises if the
                model does not load strictly there or renders what nobody can use. Called again after a full disk.
        """
        run, info = self.run, self.info
        probe: dict[str, Any] = {}
        stopped = fit.stopped
        if not self.ranks.first:
            return {"run": run.name, "step": fit.step, "steps": info.steps, "model": None, "stopped": stopped}

        def write() -> None:
            folder, figures = export(not stopped)
            info.model = str(folder)
            probe.update(figures)

        if info.step > 0 and not patiently(write, run, info, self.ctx):
            stopped = True
        info.state = "stopped" if stopped else "completed"
        return {
            "run": run.name,
            "step": info.step,
            "steps": info.steps,
            "model": info.model,
            "stopped": stopped,
            "probe": probe or None,
        }


def train(
    params: dict[str, Any],
    ctx: "JobContext",
    model: type[Options],
    body: Callable[[Session[Options]], dict[str, Any]],
) -> dict[str, Any]:
    """Train a new run, or go on with one.

    Under torchrun every process calls this with the same arguments; the first one writes and reports.

    Args:
        params: fields of `model`. With "resume" only those of `may_change` count beside it.
        ctx: settings, progress and the wish to stop.
        model: the engine's options.
        body: prepares, fits and finishes; see core.training.learner.

    Returns:
        {"run", "step", "steps", "model": folder of the exported model, "stopped": bool, "probe": figures of a render};
        model and probe are None for a run that was stopped before its first step, and on all ranks but the first.

    Raises:
        StudioError: what is wrong and what to do; run.json then holds state "failed" and the same words.
    """
    where = torch.device(parallel.local_device(devices.pick(ctx.settings.device)))
    ranks = parallel.join(where)
    threads = devices.threads(ctx.settings.threads)
    torch.set_num_threads(threads)
    if not ranks.first:
        run, info, options = ranks.share(None)
        random_state.seed_everything(options.seed)
        return body(Session(run, info, options, ctx, where, ranks, threads))
    run, info, options = begin(params, ctx.settings, model)
    ctx = FileContext(ctx, run.path)
    ranks.share((run, info, options))
    random_state.seed_everything(options.seed)
    with guarded(run, info):
        return body(Session(run, info, options, ctx, where, ranks, threads))
