"""The training loop shared by the generator families: see `core.engines.sovits.recipe` for what a family supplies."""

import contextlib
import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import torch
from torch import Tensor, nn

from core.engines.sovits.batches import BatchStream
from core.engines.sovits.dataset import TrainingSet
from core.engines.sovits.recipe import Batch, Losses, Recipe
from core.errors import ModelFileError, NoSpace, StudioError
from core.training import generations, optimiser_state, random_state
from core.training.metrics import MetricsLog
from core.training.options import TrainOptions
from core.training.runs import Run, RunInfo

log = logging.getLogger(__name__)

READ_AHEAD = 6
"""Batches made ahead for a GPU."""
Precision = Literal["fp32", "fp16", "bf16"]


class Stoppable(Protocol):
    """The part of a job's context that the loop needs."""

    @property
    def cancel_requested(self) -> bool:
        """A stop was asked for."""

    def report(self, fraction: float | None, message: str) -> None:
        """Show progress; never raises."""


class Diverged(StudioError):
    """The loss or a gradient is no longer a number."""

    code = "diverged"


@dataclass
class Fit:
    """How the loop ended."""

    step: int
    stopped: bool
    """True: a stop was asked for before the last step."""


@dataclass
class _Window:
    """Sums since the last log step, kept on the device so that a GPU need not wait."""

    sums: dict[str, Tensor] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    steps: int = 0
    busy_s: float = 0.0
    data_s: float = 0.0

    def add(self, name: str, value: Tensor) -> None:
        held = self.sums.get(name)
        self.sums[name] = value.detach().float() if held is None else held + value.detach().float()
        self.counts[name] = self.counts.get(name, 0) + 1

    def add_losses(self, who: str, losses: Losses) -> None:
        self.add(f"loss/{who}/total", losses.total)
        for name, value in losses.parts.items():
            self.add(f"loss/{who}/{name}", value)

    def means(self) -> dict[str, float]:
        return {name: float(value) / self.counts[name] for name, value in self.sums.items()}


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
    ) -> None:
        """
        Args:
            run, info: the run's folder and its record, which the trainer keeps up to date.
            recipe: modules and losses; moved to `device` here.
            dataset: batches.
            options: settings.
            device: where to compute.
            about: lines for each checkpoint's manifest.
            probe: renders the held-out clips at a step and returns their distance to the recordings (lower is better).
        """
        self.run, self.info, self.recipe, self.dataset, self.options = run, info, recipe, dataset, options
        self.device, self.about, self._probe = device, about, probe
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
        self._last_loss = float("nan")
        self._eta_s: float | None = None
        self._rate = 0.0
        self._log_wall = 0.0

    # ---- going on

    def restore(self) -> bool:
        """Load the newest whole generation; False if there is none yet. Notes about damaged ones go to run.json.

        Raises:
            ModelFileError: all generations are damaged or gone, or one does not fit the model.
        """
        found, notes = generations.load_newest(self.run.checkpoints)
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
        return True

    def save(self) -> None:
        """Write a generation, then prune old ones.

        Raises:
            NoSpace: the disk is full; the generation before is whole.
            Diverged: the weights are no longer numbers; nothing is written.
        """
        self._require_finite()
        rng_tensors, rng_data = random_state.capture(self.device)
        tensors: dict[str, dict[str, Tensor]] = {name: module.state_dict() for name, module in self._modules.items()}
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
            "scaler": self.scaler.state_dict(),
            "rng": rng_data,
            "base_learning_rate": self.base_lr,
        }
        generations.save_generation(self.run.checkpoints, self.step, tensors, state, self.about)
        self.info.step = self.info.saved_step = self.step
        self.run.write(self.info)
        best = [self.info.best_step] if self.info.best_step is not None else []
        generations.prune(self.run.checkpoints, self.options.keep, best)

    # ---- the loop

    def fit(self, ctx: Stoppable, metrics: MetricsLog) -> Fit:
        """Train up to `options.steps`, saving on the way and at the end.

        A stop that is asked for lets the step finish, saves, and returns with `stopped`.

        Raises:
            Diverged: a loss or gradient is not a number; the last good generation is on disk.
            NoSpace: a save found no room; the generation before is whole.
        """
        on_gpu = self.device.type == "cuda"
        window = _Window()
        self._log_wall = time.monotonic()
        stopped = False
        with BatchStream(self.dataset, self._epoch, self._place, READ_AHEAD if on_gpu else 0, pin=on_gpu) as stream:
            while self.step < self.options.steps:
                if ctx.cancel_requested:
                    stopped = True
                    break
                self._one_step(stream, window)
                self._after_step(ctx, metrics, window)
        self.info.step = self.step
        if self.step > 0 and self.info.saved_step != self.step:
            self.save()
        metrics.flush()
        return Fit(self.step, stopped)

    def _one_step(self, stream: BatchStream, window: _Window) -> None:
        began = time.monotonic()
        batch = stream.next().to(self.device)
        window.data_s += time.monotonic() - began
        self._set_learning_rate()
        self._update(batch, window)
        self.step += 1
        self._epoch, self._place = stream.epoch, stream.place
        window.steps += 1
        spent = time.monotonic() - began
        window.busy_s += spent
        self.info.trained_s += spent
        if self.device.type == "cpu":
            self._require_finite()

    def _update(self, batch: Batch, window: _Window) -> None:
        recipe, step = self.recipe, self.step
        with torch.no_grad():
            batch = recipe.prepare_batch(batch)
        with self._autocast():
            outputs = recipe.forward(batch, step)
            d_losses = recipe.discriminator_losses(batch, outputs, step)
        if d_losses is not None:
            window.add_losses("d", d_losses)
            window.add("grad_norm/d", self._descend("discriminator", d_losses.total))
        frozen = list(recipe.discriminator.parameters()) if recipe.discriminator is not None else []
        with _frozen(frozen):
            with self._autocast():
                g_losses = recipe.generator_losses(batch, outputs, step)
            window.add_losses("g", g_losses)
            window.add("grad_norm/g", self._descend("generator", g_losses.total))
        self.scaler.update()

    def _descend(self, name: str, loss: Tensor) -> Tensor:
        """One backward pass and optimiser step; returns the gradient's norm before clipping."""
        optimiser, parameters = self.optimisers[name], list(self._modules[name].parameters())
        optimiser.zero_grad(set_to_none=True)
        self.scaler.scale(loss).backward()
        self.scaler.unscale_(optimiser)
        norm = nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
        if self.recipe.max_grad_norm is not None:
            nn.utils.clip_grads_with_norm_(parameters, self.recipe.max_grad_norm, norm)
        self._finite &= torch.isfinite(loss.detach())
        if not self.scaler.is_enabled():  # with a scaler an infinite gradient is normal: that step is skipped
            self._finite &= torch.isfinite(norm)
        self.scaler.step(optimiser)
        return norm

    def _after_step(self, ctx: Stoppable, metrics: MetricsLog, window: _Window) -> None:
        if self.step % self.options.log_every_steps == 0 or self.step == 1:
            self._log(ctx, metrics, window)
        every = self.options.probe_every_steps or self.options.save_every_steps
        last = self.step >= self.options.steps
        if self._probe is not None and (self.step % every == 0 or last):
            self._require_finite()
            self._measure(metrics)
        if self.step % self.options.save_every_steps == 0 or last:
            self.save()

    def _measure(self, metrics: MetricsLog) -> None:
        assert self._probe is not None
        for module in self._modules.values():
            module.eval()
        # A renderer that draws from the default generators must not change what training draws next.
        with torch.random.fork_rng([self.device] if self.device.type == "cuda" else []):
            value = self._probe(self.step, metrics)
        for module in self._modules.values():
            module.train()
        saved = self.step % self.options.save_every_steps == 0 or self.step >= self.options.steps
        if saved and (self.info.best_value is None or value < self.info.best_value):
            self.info.best_step, self.info.best_value = self.step, value

    def _log(self, ctx: Stoppable, metrics: MetricsLog, window: _Window) -> None:
        values = window.means()
        self._require_finite()
        now = time.monotonic()
        rate = window.steps / max(window.busy_s, 1e-9)
        pace = (now - self._log_wall) / window.steps
        left = (self.options.steps - self.step) * pace
        self._eta_s = left if self._eta_s is None else 0.7 * (self._eta_s - pace * window.steps) + 0.3 * left
        self._log_wall, self._rate, self._last_loss = now, rate, values["loss/g/total"]
        values["lr"] = self.optimisers["generator"].param_groups[0]["lr"]
        values["steps_per_s"] = rate
        values["data_share"] = window.data_s / max(window.busy_s, 1e-9)
        values["eta_s"] = max(0.0, self._eta_s)
        if self.scaler.is_enabled():
            values["grad_scale"] = self.scaler.get_scale()
        if self.device.type == "cuda":
            values["gpu_memory_mb"] = torch.cuda.max_memory_allocated(self.device) / 1e6
        metrics.scalars(self.step, values, time.time())
        self.info.step = self.step
        with contextlib.suppress(NoSpace):  # a save will say it, with how much is needed
            self.run.write(self.info)
        loss = f"{self._last_loss:.2f}"
        ctx.report(
            self.step / self.options.steps, f"step {self.step}/{self.options.steps} · loss {loss} · {rate:.1f} steps/s"
        )
        window.__init__()  # type: ignore[misc]

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
        if bool(self._finite):
            return
        saved = self.info.saved_step
        kept = f"The checkpoint of step {saved} is good" if saved is not None else "No checkpoint was saved yet"
        raise Diverged(
            f"Training stopped near step {self.step}: the loss or a gradient is not a number any more. {kept}.",
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
