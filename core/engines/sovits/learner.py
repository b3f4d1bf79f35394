"""A generator and its discriminator taking turns: `core.engines.sovits.recipe` says what a family of them supplies."""

import contextlib
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from core.engines.sovits.recipe import Batch, Recipe
from core.training import random_state
from core.training.descent import Descent, adamw, frozen
from core.training.learner import Learner


class VoiceLearner(Learner[Batch]):
    """Trains a recipe's modules, the discriminator first."""

    loss = "loss/g/total"

    def __init__(self, recipe: Recipe, seed: int) -> None:
        self.recipe, self._seed = recipe, seed
        self.modules: dict[str, nn.Module] = {"generator": recipe.generator}
        if recipe.discriminator is not None:
            self.modules["discriminator"] = recipe.discriminator
        self.base_learning_rate = recipe.base_learning_rate

    def optimiser(self, name: str, learning_rate: float, device: torch.device) -> Optimizer:
        """AdamW with the recipe's betas and epsilon."""
        return adamw(self.modules[name].parameters(), learning_rate, device, self.recipe.betas, self.recipe.eps)

    def learning_rate_factor(self, step: int, steps_per_epoch: int) -> float:
        """The recipe's."""
        return self.recipe.learning_rate_factor(step, steps_per_epoch)

    def learn(
        self, parts: Sequence[tuple[int, Batch]], step: int, optimisers: dict[str, Optimizer], by: Descent
    ) -> None:
        """One step of both modules. Of several parts the discriminator sees all before the generator is judged."""
        recipe, window = self.recipe, by.window
        kept: tuple[Batch, dict[str, Tensor]] | None = None
        if recipe.judges(step):
            for index, batch in parts:
                with contextlib.nullcontext() if len(parts) == 1 else torch.no_grad():
                    ready, outputs = self._forward(index, batch, step, by)
                with by.autocast():
                    d_losses = recipe.discriminator_losses(ready, outputs, step)
                assert d_losses is not None
                window.add_losses("d", d_losses.total, d_losses.parts)
                by.backward(d_losses.total, len(parts))
                kept = (ready, outputs) if len(parts) == 1 else None
            window.add("grad_norm/d", by.descend(optimisers["discriminator"], recipe.max_grad_norm))
        with frozen([recipe.discriminator] if recipe.discriminator is not None else []):
            for index, batch in parts:
                ready, outputs = kept or self._forward(index, batch, step, by)
                random_state.seed_part(self._seed, step, index, 1)
                with by.autocast():
                    g_losses = recipe.generator_losses(ready, outputs, step)
                window.add_losses("g", g_losses.total, g_losses.parts)
                by.backward(g_losses.total, len(parts))
            window.add("grad_norm/g", by.descend(optimisers["generator"], recipe.max_grad_norm))

    def _forward(self, index: int, batch: Batch, step: int, by: Descent) -> tuple[Batch, dict[str, Tensor]]:
        random_state.seed_part(self._seed, step, index, 0)
        with torch.no_grad():
            ready = self.recipe.prepare_batch(batch)
        with by.autocast():
            return ready, self.recipe.forward(ready, step)
