"""The training loop shared by the generator families: see `core.engines.sovits.recipe` for what a family supplies."""

import contextlib
import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from core.engines.sovits.batches import BatchStream
from core.engines.sovits.dataset import TrainingSet
from core.engines.sovits.recipe import Batch, Recipe
from core.errors import ModelFileError, NoSpace
from core.training import compiling, generations, optimiser_state, random_state
from core.training.health import LOWEST_SCALE, Diverged, LossGuard, explain_memory, is_out_of_memory
from core.training.metrics import MetricsLog
from core.training.options import TrainOptions
from core.training.parallel import ALONE, Ranks
from core.training.retention import Keeper
from core.training.runs import Run, RunInfo
from core.training.saving import Papers, Stoppable, patiently
from core.training.window import Window

__all__ = ["Diverged", "Fit", "Trainer", "choose_precision"]

log = logging.getLogger(__name__)

READ_AHEAD = 6
"""Batches made ahead for a GPU."""
Precision = Literal["fp32", "fp16", "bf16"]


@dataclass
class Fit:
    """How the loop ended."""

    step: int
    stopped: bool
    """True: a stop was asked for before the last step."""


def choose_precision(wish: Literal["auto", "fp32", "fp16", "bf16"], device: torch.device) -> Precision:
    """The precision for a wish of "auto", "fp32", "fp16" or "bf16". A CPU always computes in fp32."""
    if device.type != "cuda":
        return "fp32"
    if wish == "auto":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
    return wish


class Trainer:
    """Owns the optimisers, the stream of batches and the run's files for the time of one `fit`."""

    def __init__(
        self,
        run: Run,
        info: RunInfo,
        recipe: Recipe,
        dataset: TrainingSet,
        options: TrainOptions,
        device: torch.device,
        about: dict[str, Any],
        probe: Callable[[int, MetricsLog], float] | None = None,
        listen: Callable[[int], Path] | None = None,
        ranks: Ranks = ALONE,
    ) -> None:
        """
        Args:
            run, info: the run's folder and its record, which the trainer keeps up to date.
            recipe: modules and losses; moved to `device` here.
            dataset: batches of all parts of all ranks together.
            options: settings.
            device: where to compute.
            about: lines for each checkpoint's manifest.
            probe: renders the held-out clips at a step and returns their distance to the recordings (lower is better).
            listen: writes the light checkpoint of a step.
            ranks: the processes that train together; only the first writes and reports.
        """
        self.run, self.info, self.recipe, self.dataset, self.options = run, info, recipe, dataset, options
        self.device, self.about, self.ranks = device, about, ranks
        self._probe = probe if ranks.first else None
        self._listen = listen
        self._keeper = Keeper(run, options)
        self._papers = Papers([run.config_file, run.data_file])
        self.precision = choose_precision(options.precision, device)
        self.step = 0
        self._epoch = self._place = 0
        self._finite = torch.ones((), dtype=torch.bool, device=device)
        self._modules: dict[str, nn.Module] = {"generator": recipe.generator}
        if recipe.discriminator is not None:
            self._modules["discriminator"] = recipe.discriminator
        for module in self._modules.values():
            module.to(device).train()
        self.base_lr = options.learning_rate or recipe.base_learning_rate
        self.optimisers = {
            name: torch.optim.AdamW(
                module.parameters(),
                lr=self.base_lr,
                betas=recipe.betas,
                eps=recipe.eps,
                fused=device.type == "cuda" or None,
            )
            for name, module in self._modules.items()
        }
        self.scaler = torch.amp.GradScaler(device.type, enabled=self.precision == "fp16")
        if options.compile == "on":
            note = compiling.compile_modules(self._modules, device)
            if note is not None and note not in info.notes:
                info.notes.append(note)
        self._window = Window()
        self._guard = LossGuard()
        self._eta_s: float | None = None
        self._log_wall = 0.0

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
        if notes:
            self.info.notes += notes
        if found is None and self.info.saved_step:
            raise ModelFileError(
                f"The checkpoints of the run '{self.run.name}' are gone (it had saved step {self.info.saved_step}).",
                "Put the folder 'checkpoints' back, or start a new run.",
                where=str(self.run.checkpoints),
            )
        if found is None:
            return False
        from core.models.safe_load import strict_load

        for name, module in self._modules.items():
            strict_load(module, found.tensors[name], f"{found.path.name}/{name}.safetensors")
            optimiser_state.unflatten(
                self.optimisers[name], name, found.tensors["optimisers"], found.state["optimisers"][name]
            )
        if self.scaler.is_enabled() and found.state["scaler"]:
            self.scaler.load_state_dict(found.state["scaler"])
        self.step, self._epoch, self._place = found.state["step"], found.state["epoch"], found.state["place"]
        random_state.restore(found.tensors["rng"], found.state["rng"], self.device)
        self.info.step = self.info.saved_step = self.step
        self.info.best_step, self.info.best_value = found.state["best_step"], found.state["best_value"]
        self.info.trained_s = found.state["trained_s"]
        if "window" in found.state:  # runs of the first version did not keep these
            self._window.restore(found.state["window"], self.device)
            lowest, self._guard.n_windows = found.state["guard"]
            self._guard.lowest = float("inf") if lowest is None else lowest
        return True

    def save(self, ctx: Stoppable) -> bool:
        """Write a generation and a light checkpoint, then prune old ones; waits while the disk is full.

        Returns False if a stop was asked for while it waited: the generation before is whole then, this one is not
        written.

        Raises:
            Diverged: the weights are no longer numbers; nothing is written.
        """
        began = time.monotonic()
        if self._papers.put_back():
            note = f"The folder of the run was deleted before step {self.step}; what had been logged is gone."
            self.info.notes.append(note)
        self.info.step = self.step
        state, tensors = self._state()

        def write() -> None:
            generations.save_generation(self.run.checkpoints, self.step, tensors, state, self.about)
            self.info.saved_step = self.step
            self.run.write(self.info)
            if self._listen is not None and self.options.keep_light:
                self._listen(self.step)

        if not patiently(write, self.run, self.info, ctx):
            return False
        self.info.save_s = round(time.monotonic() - began, 3)
        self._keeper.prune(self.info)
        return True

    def _state(self) -> tuple[dict[str, Any], dict[str, dict[str, Tensor]]]:
        """All that it takes to go on from here, bit for bit."""
        rng_tensors, rng_data = random_state.capture(self.device)
        tensors: dict[str, dict[str, Tensor]] = {name: module.state_dict() for name, module in self._modules.items()}
        flat = {name: optimiser_state.flatten(optimiser, name) for name, optimiser in self.optimisers.items()}
        tensors["optimisers"] = {key: value for part, _ in flat.values() for key, value in part.items()}
        tensors["rng"] = rng_tensors
        lowest = self._guard.lowest
        state = {
            "step": self.step,
            "epoch": self._epoch,
            "place": self._place,
            "best_step": self.info.best_step,
            "best_value": self.info.best_value,
            "trained_s": self.info.trained_s,
            "optimisers": {name: groups for name, (_, groups) in flat.items()},
            "scaler": self.scaler.state_dict(),
            "rng": rng_data,
            "base_learning_rate": self.base_lr,
            "window": self._window.state(),
            "guard": [None if lowest == float("inf") else lowest, self._guard.n_windows],
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
            OutOfMemory: a step does not fit; the error offers smaller batches.
        """
        on_gpu, n_parts = self.device.type == "cuda", self.options.accumulate
        mine = range(self.ranks.rank * n_parts, (self.ranks.rank + 1) * n_parts)
        self._log_wall = time.monotonic()
        stopped = False
        ahead = READ_AHEAD if on_gpu else 0
        of = n_parts * self.ranks.count
        with BatchStream(self.dataset, self._epoch, self._place, ahead, on_gpu, mine, of) as stream:
            while self.step < self.options.steps:
                if self.ranks.any(stopped or ctx.cancel_requested, self.device):
                    stopped = True
                    break
                self._one_step(stream, mine)
                stopped = not self._after_step(ctx, metrics)
        self.info.step = self.step
        if self.step > 0 and self.ranks.any(self.info.saved_step != self.step, self.device):
            self._require_sound()
            if self.ranks.first:
                self.save(ctx)
        if metrics is not None:
            metrics.flush()
        return Fit(self.step, stopped)

    def _one_step(self, stream: BatchStream, mine: range) -> None:
        window, began = self._window, time.monotonic()
        parts = [(index, batch.to(self.device)) for index, batch in zip(mine, stream.next(), strict=True)]
        window.data_s += time.monotonic() - began
        self._set_learning_rate()
        try:
            self._update(parts)
        except (RuntimeError, MemoryError) as err:
            if not is_out_of_memory(err):
                raise
            batch_size = self.dataset.batch_size // (self.options.accumulate * self.ranks.count)
            raise explain_memory(
                self.step, self.info.saved_step, batch_size, self.options.accumulate, str(self.run.path)
            ) from err
        self.step += 1
        self._epoch, self._place = stream.epoch, stream.place
        window.steps += 1
        spent = time.monotonic() - began
        window.busy_s += spent
        self.info.trained_s += spent
        if self.device.type == "cpu":
            self._require_finite()

    def _update(self, parts: list[tuple[int, Batch]]) -> None:
        """One step of both modules. Of several parts the discriminator sees all before the generator is judged."""
        recipe, step, window = self.recipe, self.step, self._window
        for optimiser in self.optimisers.values():
            optimiser.zero_grad(set_to_none=True)
        kept: tuple[Batch, dict[str, Tensor]] | None = None
        if recipe.judges(step):
            for index, batch in parts:
                with contextlib.nullcontext() if len(parts) == 1 else torch.no_grad():
                    ready, outputs = self._forward(index, batch)
                with self._autocast():
                    d_losses = recipe.discriminator_losses(ready, outputs, step)
                assert d_losses is not None
                window.add_losses("d", d_losses.total, d_losses.parts)
                self._backward(d_losses.total, len(parts))
                kept = (ready, outputs) if len(parts) == 1 else None
            window.add("grad_norm/d", self._descend("discriminator"))
        frozen = list(recipe.discriminator.parameters()) if recipe.discriminator is not None else []
        with _frozen(frozen):
            for index, batch in parts:
                ready, outputs = kept or self._forward(index, batch)
                random_state.seed_part(self.options.seed, step, index, 1)
                with self._autocast():
                    g_losses = recipe.generator_losses(ready, outputs, step)
                window.add_losses("g", g_losses.total, g_losses.parts)
                self._backward(g_losses.total, len(parts))
            window.add("grad_norm/g", self._descend("generator"))
        self.scaler.update()
        random_state.seed_part(self.options.seed, step, 0, 2)  # what a checkpoint keeps depends on the step alone

    def _forward(self, index: int, batch: Batch) -> tuple[Batch, dict[str, Tensor]]:
        random_state.seed_part(self.options.seed, self.step, index, 0)
        with torch.no_grad():
            ready = self.recipe.prepare_batch(batch)
        with self._autocast():
            return ready, self.recipe.forward(ready, self.step)

    def _backward(self, loss: Tensor, n_parts: int) -> None:
        self._finite &= torch.isfinite(loss.detach())
        self.scaler.scale(loss if n_parts == 1 else loss / n_parts).backward()  # type: ignore[no-untyped-call]

    def _descend(self, name: str) -> Tensor:
        """One optimiser step on the gradients of all parts and ranks; returns their norm before clipping."""
        optimiser, parameters = self.optimisers[name], list(self._modules[name].parameters())
        self.ranks.average_gradients(parameters)
        self.scaler.unscale_(optimiser)
        norm = nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
        if self.recipe.max_grad_norm is not None:
            nn.utils.clip_grads_with_norm_(parameters, self.recipe.max_grad_norm, norm)
        if not self.scaler.is_enabled():  # with a scaler an infinite gradient is normal: that step is skipped
            self._finite &= torch.isfinite(norm)
        self.scaler.step(optimiser)
        return norm

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
            self._measure(metrics, save_now)
        if save_now and self.ranks.first:
            return self.save(ctx)
        if save_now:
            self.info.saved_step = self.step
        return True

    def _measure(self, metrics: MetricsLog, saved: bool) -> None:
        assert self._probe is not None
        for module in self._modules.values():
            module.eval()
        # A renderer that draws from the default generators must not change what training draws next.
        with torch.random.fork_rng([self.device] if self.device.type == "cuda" else []):
            value = self._probe(self.step, metrics)
        for module in self._modules.values():
            module.train()
        if saved and (self.info.best_value is None or value < self.info.best_value):
            self.info.best_step, self.info.best_value = self.step, value

    def _log(self, ctx: Stoppable, metrics: MetricsLog | None) -> None:
        window = self._window
        values = self.ranks.mean(window.means(), self.device)
        now = time.monotonic()
        rate = window.steps / max(window.busy_s, 1e-9)
        pace = (now - self._log_wall) / max(window.steps, 1)
        left = (self.options.steps - self.step) * pace
        self._eta_s = left if self._eta_s is None else 0.7 * (self._eta_s - pace * window.steps) + 0.3 * left
        self._log_wall = now
        values["lr"] = self.optimisers["generator"].param_groups[0]["lr"]
        values["steps_per_s"] = rate
        values["data_share"] = window.data_s / max(window.busy_s, 1e-9)
        values["eta_s"] = max(0.0, self._eta_s)
        if self.scaler.is_enabled():
            values["grad_scale"] = self.scaler.get_scale()
        if self.device.type == "cuda":
            values["gpu_memory_mb"] = torch.cuda.max_memory_allocated(self.device) / 1e6
        window.clear()
        if metrics is None:
            return
        metrics.scalars(self.step, values, time.time())
        self.info.step, self.info.step_s = self.step, round(1.0 / max(rate, 1e-9), 4)
        with contextlib.suppress(NoSpace):  # a save will say it, with how much is needed
            self.run.write(self.info)
        told = f"step {self.step}/{self.options.steps} · loss {values['loss/g/total']:.2f} · {rate:.1f} steps/s"
        ctx.report(self.step / self.options.steps, told)

    # ---- small things

    def _autocast(self) -> contextlib.AbstractContextManager[Any]:
        if self.precision == "fp32":
            return contextlib.nullcontext()
        return torch.autocast(self.device.type, torch.float16 if self.precision == "fp16" else torch.bfloat16)

    def _set_learning_rate(self) -> None:
        rate = self.base_lr * self.recipe.learning_rate_factor(self.step, self.dataset.steps_per_epoch)
        for optimiser in self.optimisers.values():
            for group in optimiser.param_groups:
                group["lr"] = rate

    def _require_finite(self) -> None:
        if self.ranks.any(not bool(self._finite), self.device):
            self._fail("the loss or a gradient is not a number any more")

    def _require_sound(self, note: bool = False) -> None:
        """Raises Diverged. Asked before whatever is written; `note`: the window ends here."""
        self._require_finite()
        loss = self._window.mean("loss/g/total")
        if loss is None:
            return
        loss = self.ranks.mean({"": loss}, self.device)[""]
        exploded = self._guard.exploded(loss) if note else self._guard.would_explode(loss)
        if exploded:
            self._fail(f"the loss has exploded to {loss:.3g} (it had been {self._guard.lowest:.3g})")
        if self.scaler.is_enabled() and self.scaler.get_scale() < LOWEST_SCALE:
            self._fail("every step overflows in half precision")

    def _fail(self, what: str) -> None:
        saved = self.info.saved_step
        kept = f"The checkpoint of step {saved} is good" if saved is not None else "No checkpoint was saved yet"
        raise Diverged(
            f"Training stopped near step {self.step}: {what}. {kept}.",
            "Resume with a lower learning rate, or with precision fp32.",
            where=str(self.run.path),
        )


@contextlib.contextmanager
def _frozen(parameters: Iterable[nn.Parameter]) -> Any:
    held = [p for p in parameters if p.requires_grad]
    for parameter in held:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in held:
            parameter.requires_grad_(True)
