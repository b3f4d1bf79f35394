"""The training loop of every engine. `core.training.learner` says how one plugs in.

It reads batches, lets the learner learn, logs, renders probes, saves and prunes, hears a stop, waits while the disk is
full, and ends a run that diverges or does not fit into the memory with the last good generation on disk.
"""

import contextlib
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic

import torch
from torch import Tensor

from core.errors import ModelFileError, NoSpace
from core.training import compiling, generations, optimiser_state, random_state
from core.training.descent import Descent, choose_precision
from core.training.gpu_use import GpuUse
from core.training.health import LOWEST_SCALE, Diverged, LossGuard, explain_memory, is_out_of_memory
from core.training.learner import Learner
from core.training.metrics import MetricsLog
from core.training.options import RunOptions
from core.training.pace import Pace
from core.training.parallel import ALONE, Ranks
from core.training.retention import Keeper
from core.training.runs import Run, RunInfo
from core.training.saving import Papers, Stoppable, patiently
from core.training.stream import B, Batches, BatchStream

log = logging.getLogger(__name__)

READ_AHEAD = 6
"""Batches made ahead for a GPU."""


@dataclass
class Fit:
    """How the loop ended."""

    step: int
    stopped: bool
    """True: a stop was asked for before the last step."""


class Loop(Generic[B]):
    """Owns the optimisers, the stream of batches and the run's files for the time of one `fit`."""

    def __init__(
        self,
        run: Run,
        info: RunInfo,
        learner: Learner[B],
        batches: Batches[B],
        options: RunOptions,
        device: torch.device,
        about: dict[str, Any],
        *,
        probe: Callable[[int, MetricsLog], float] | None = None,
        listen: Callable[[int], Path] | None = None,
        ranks: Ranks = ALONE,
    ) -> None:
        """
        Args:
            run, info: the run's folder and its record, which the loop keeps up to date.
            learner: modules and losses; moved to `device` here.
            batches: of all parts of all ranks together.
            options: settings.
            device: where to compute.
            about: lines for each checkpoint's manifest.
            probe: renders the held-out clips at a step and returns their distance to the recordings (lower is better).
            listen: writes the light checkpoint of a step.
            ranks: the processes that train together; only the first writes and reports.
        """
        self.run, self.info, self.learner, self.batches, self.options = run, info, learner, batches, options
        self.device, self.about, self.ranks = device, about, ranks
        self._probe = probe if ranks.first else None
        self._listen = listen
        self._keeper = Keeper(run, options)
        self._papers = Papers([run.config_file, run.data_file])
        self.by = Descent(device, choose_precision(options.precision, device), ranks)
        self.step = 0
        self._epoch = self._place = 0
        self.base_lr = options.learning_rate or learner.base_learning_rate
        for module in learner.modules.values():
            module.to(device).train()
        self.optimisers = {name: learner.optimiser(name, self.base_lr, device) for name in learner.modules}
        if options.compile == "on":
            note = compiling.compile_modules(learner.modules, device)
            if note is not None and note not in info.notes:
                info.notes.append(note)
        self._guard = LossGuard()
        self._pace = Pace()
        self._gpu = GpuUse(str(device) if ranks.first else "cpu")

    # ---- going on

    def restore(self) -> bool:
        """Load the newest whole generation; False if there is none yet. Notes about damaged ones go to run.json.

        Every rank calls this; the first one looks for damage before the others read.

        Raises:
            ModelFileError: all generations are damaged or gone, or one does not fit the model.
        """
        if not self.ranks.first:
            self.ranks.wait()
        found, notes = generations.load_newest(self.run.checkpoints)
        if self.ranks.first:
            self.ranks.wait()
        for note in notes:
            log.warning(note)
        self.info.notes += notes
        if found is None and self.info.saved_step:
            raise ModelFileError(
                f"The checkpoints of the run '{self.run.name}' are gone (it had saved step {self.info.saved_step}).",
                "Put the folder 'checkpoints' back, or start a new run.",
                where=str(self.run.checkpoints),
            )
        if found is None:
            return False
        self._take(found)
        return True

    def _take(self, found: generations.Generation) -> None:
        state, info = found.state, self.info
        for name, optimiser in self.optimisers.items():
            self.learner.load(name, found.tensors[name], f"{found.path.name}/{name}.safetensors")
            optimiser_state.unflatten(optimiser, name, found.tensors["optimisers"], state["optimisers"][name])
        if self.by.scaler.is_enabled() and state["scaler"]:
            self.by.scaler.load_state_dict(state["scaler"])
        self.step, self._epoch, self._place = state["step"], state["epoch"], state["place"]
        random_state.restore(found.tensors["rng"], state["rng"], self.device)
        info.step = info.saved_step = self.step
        info.best_step, info.best_value = state["best_step"], state["best_value"]
        info.trained_s = state["trained_s"]
        if "window" in state:  # runs of the first version did not keep these
            self.by.window.restore(state["window"], self.device)
            self._guard.restore(state["guard"])

    def save(self, ctx: Stoppable) -> bool:
        """Write a generation and a light checkpoint, then prune old ones; waits while the disk is full.

        Returns False if a stop was asked for while it waited: the generation before is whole then, this one is not
        written.
        """
        began = time.monotonic()
        if self._papers.put_back():
            note = f"The folder of the run was deleted before step {self.step}; what had been logged is gone."
            self.info.notes.append(note)
        self.info.step = self.step

        def write() -> None:
            generations.save_generation(self.run.checkpoints, self.step, tensors, state, self.about)
            self.info.saved_step = self.step
            self.run.write(self.info)
            if self._listen is not None and self.options.keep_light:
                self._listen(self.step)

        with self._in_memory(f"Saving step {self.step}"):
            state, tensors = self._state()
            if not patiently(write, self.run, self.info, ctx):
                return False
        self.info.save_s = round(time.monotonic() - began, 3)
        self._keeper.prune(self.info)
        return True

    def _state(self) -> tuple[dict[str, Any], dict[str, dict[str, Tensor]]]:
        """All that it takes to go on from here, bit for bit."""
        rng_tensors, rng_data = random_state.capture(self.device)
        tensors = {name: self.learner.state(name) for name in self.learner.modules}
        flat = {name: optimiser_state.flatten(optimiser, name) for name, optimiser in self.optimisers.items()}
        tensors["optimisers"] = {key: value for part, _ in flat.values() for key, value in part.items()}
        tensors["rng"] = rng_tensors
        state = {
            "step": self.step,
            "epoch": self._epoch,
            "place": self._place,
            "best_step": self.info.best_step,
            "best_value": self.info.best_value,
            "trained_s": self.info.trained_s,
            "optimisers": {name: groups for name, (_, groups) in flat.items()},
            "scaler": self.by.scaler.state_dict(),
            "rng": rng_data,
            "base_learning_rate": self.base_lr,
            "window": self.by.window.state(),
            "guard": self._guard.state(),
        }
        return state, tensors

    # ---- the loop

    def fit(self, ctx: Stoppable, metrics: MetricsLog | None) -> Fit:
        """Train up to `options.steps`, saving on the way and at the end.

        A stop that is asked for lets the step finish, saves, and returns with `stopped`. A full disk makes it wait.

        Args:
            ctx: where to report and hear of a stop.
            metrics: where to log; None on all ranks but the first.

        Raises:
            Diverged: a loss or gradient is not a number, or has exploded; the last good generation is on disk.
            OutOfMemory: a step, a probe or a save does not fit; the error offers smaller batches.
        """
        self._pace.begin(self.step)
        stopped = False
        with self.stream() as stream, self._gpu:
            while self.step < self.options.steps:
                if self.ranks.any(stopped or ctx.cancel_requested):
                    stopped = True
                    break
                self.one_step(stream)
                stopped = not self._after_step(ctx, metrics)
        self.info.step = self.step
        if self.step > 0 and self.ranks.any(self.info.saved_step != self.step):
            self._require_sound()
            if self.ranks.first:
                self.save(ctx)
        if metrics is not None:
            metrics.flush()
        return Fit(self.step, stopped)

    def stream(self) -> BatchStream[B]:
        """The batches from here on, of which this rank computes its parts; ahead of time for a GPU."""
        on_gpu, n_parts = self.device.type == "cuda", self.options.accumulate
        mine = range(self.ranks.rank * n_parts, (self.ranks.rank + 1) * n_parts)
        ahead = READ_AHEAD if on_gpu else 0
        return BatchStream(self.batches, self._epoch, self._place, ahead, on_gpu, mine, n_parts * self.ranks.count)

    def one_step(self, stream: BatchStream[B]) -> None:
        """Read a batch and learn from it.

        Raises:
            Diverged, OutOfMemory: as `fit`.
        """
        window, began = self.by.window, time.monotonic()
        parts = [(index, batch.to(self.device)) for index, batch in zip(stream.parts, stream.next(), strict=True)]
        window.data_s += time.monotonic() - began
        with self._in_memory(f"Step {self.step + 1}"):
            self.learn(parts)
        self.step += 1
        self._epoch, self._place = stream.epoch, stream.place
        spent = time.monotonic() - began
        window.steps += 1
        window.busy_s += spent
        self.info.trained_s += spent
        if self.device.type == "cpu":
            self._require_finite()

    def learn(self, parts: list[tuple[int, B]]) -> None:
        """One step of the learner on parts that are on the device."""
        rate = self.base_lr * self.learner.learning_rate_factor(self.step, self.batches.steps_per_epoch)
        for optimiser in self.optimisers.values():
            for group in optimiser.param_groups:
                group["lr"] = rate
            optimiser.zero_grad(set_to_none=True)
        self.learner.learn(parts, self.step, self.optimisers, self.by)
        self.by.scaler.update()
        # What a checkpoint keeps depends on the step alone.
        random_state.seed_part(self.options.seed, self.step, 0, 2)

    def _after_step(self, ctx: Stoppable, metrics: MetricsLog | None) -> bool:
        """Log, render probes and save where it is time; False if a stop was asked for while the disk was full."""
        options = self.options
        last = self.step >= options.steps
        log_now = self.step % options.log_every_steps == 0 or self.step == 1
        probe_now = self.step % (options.probe_every_steps or options.save_every_steps) == 0 or last
        save_now = self.step % options.save_every_steps == 0 or last
        if log_now or probe_now or save_now:
            self._require_sound(note=log_now)
        if log_now:
            self._log(ctx, metrics)
        if probe_now and self._probe is not None and metrics is not None:
            self._measure(self._probe, metrics, save_now)
        if save_now and self.ranks.first:
            return self.save(ctx)
        if save_now:
            self.info.saved_step = self.step
        return True

    @contextlib.contextmanager
    def _in_memory(self, what: str) -> Iterator[None]:
        """Raises OutOfMemory, with an offer, where the body does not fit. `what`: what it does, in words."""
        try:
            yield
        except (RuntimeError, MemoryError) as err:
            if not is_out_of_memory(err):
                raise
            batch_size = self.batches.batch_size // (self.options.accumulate * self.ranks.count)
            accumulate = self.options.accumulate
            raise explain_memory(what, self.info.saved_step, batch_size, accumulate, str(self.run.path)) from err

    def _measure(self, probe: Callable[[int, MetricsLog], float], metrics: MetricsLog, saved: bool) -> None:
        for module in self.learner.modules.values():
            module.eval()
        # A renderer that draws from the default generators must not change what training draws next.
        forked = torch.random.fork_rng([self.device] if self.device.type == "cuda" else [])
        with forked, self._in_memory(f"Rendering the probes of step {self.step}"):
            value = probe(self.step, metrics)
        for module in self.learner.modules.values():
            module.train()
        if saved and (self.info.best_value is None or value < self.info.best_value):
            self.info.best_step, self.info.best_value = self.step, value

    def _log(self, ctx: Stoppable, metrics: MetricsLog | None) -> None:
        window = self.by.window
        values = self.ranks.mean(window.means())
        rate = window.steps / max(window.busy_s, 1e-9)
        values["lr"] = next(iter(self.optimisers.values())).param_groups[0]["lr"]
        values["steps_per_s"] = rate
        values["data_share"] = window.data_s / max(window.busy_s, 1e-9)
        values["eta_s"] = self._pace.left_s(self.step, self.options.steps)
        if self.by.scaler.is_enabled():
            values["grad_scale"] = self.by.scaler.get_scale()
        if self.device.type == "cuda":
            values["gpu_memory_mb"] = torch.cuda.max_memory_allocated(self.device) / 1e6
        if (load := self._gpu.percent()) is not None:
            values["gpu_use"] = load
        window.clear()
        if metrics is None:
            return
        metrics.scalars(self.step, values, time.time())
        self.info.step, self.info.step_s = self.step, round(1.0 / max(rate, 1e-9), 4)
        with contextlib.suppress(NoSpace):  # a save will say it, with how much is needed
            self.run.write(self.info)
        loss = values[self.learner.loss]
        told = f"step {self.step}/{self.options.steps} · loss {loss:.2f} · {rate:.1f} steps/s"
        ctx.report(self.step / self.options.steps, told)

    # ---- all is well?

    def _require_finite(self) -> None:
        if self.ranks.any(not bool(self.by.finite)):
            self._fail("the loss or a gradient is not a number any more")

    def _require_sound(self, note: bool = False) -> None:
        """Raises Diverged. Asked before whatever is written; `note`: the window ends here."""
        self._require_finite()
        loss = self.by.window.mean(self.learner.loss)
        if loss is None:
            return
        loss = self.ranks.mean({"": loss})[""]
        exploded = self._guard.exploded(loss) if note else self._guard.would_explode(loss)
        if exploded:
            self._fail(f"the loss has exploded to {loss:.3g} (it had been {self._guard.lowest:.3g})")
        if self.by.scaler.is_enabled() and self.by.scaler.get_scale() < LOWEST_SCALE:
            self._fail("every step overflows in half precision")

    def _fail(self, what: str) -> None:
        saved = self.info.saved_step
        kept = f"The checkpoint of step {saved} is good" if saved is not None else "No checkpoint was saved yet"
        raise Diverged(
            f"Training stopped near step {self.step}: {what}. {kept}.",
            "Resume with a lower learning rate, or with precision fp32.",
            where=str(self.run.path),
        )
