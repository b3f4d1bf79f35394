"""What an engine puts into the training loop: networks, batches and the losses of a step.

How an engine plugs in, from the job to the gradients:

1. Options: a subclass of `core.training.options.RunOptions`; a line in `core.training.engines.ENGINES`.
2. The job: `run_train(params, ctx)` is `core.training.job.train(params, ctx, MyOptions, body)`. `body(session)` runs on
   every rank. In this order it gathers the data (`session.first_before_others`) and writes `run.config_file` and
   `run.data_file`, makes a `Learner`, its `Batches` and a `core.training.loop.Loop`, calls `session.fit(loop)`, and
   returns `session.finish(fit, export)`. `core.engines.sovits.train` is an example of 100 lines.
3. The step: a `Learner`. The loop owns everything else: resuming bit for bit, saving, the full disk, light checkpoints,
   what is kept, stop and SIGTERM, divergence and memory, metrics, probes, learning rates, precision, ranks.

What a learner must keep to, so that a resumed run repeats an uninterrupted one bit for bit on a CPU: it draws from
torch's default generators only, after `seed_part` (core.training.random_state) for every part of every step; it keeps
no state that changes over steps but its modules and optimisers (what depends on progress is computed from `step`); its
`Batches` are functions of (seed, epoch, place).
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Generic

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from core.models.safe_load import strict_load
from core.training.descent import Descent, adamw
from core.training.stream import B


class Learner(ABC, Generic[B]):
    """One engine's half of training. The loop moves the modules to the device and calls `.train()` and `.eval()`."""

    modules: dict[str, nn.Module]
    """What is trained, by name: the file's stem in a checkpoint ("generator", "discriminator", "adapter")."""
    base_learning_rate: float
    """Of all optimisers, where the options name none."""
    loss: str = "loss/total"
    """Name of the logged scalar that tells whether the run goes well: it is shown, and an explosion of it ends the run.
    TensorBoard tags "loss/..."; `learn` must add it to the window in every step."""

    @abstractmethod
    def learn(self, parts: Sequence[tuple[int, B]], step: int, optimisers: dict[str, Optimizer], by: Descent) -> None:
        """One optimiser step (0-based `step`) of all modules; gradients are zero when it is called.

        Args:
            parts: (global index of the part, batch on the device): several where gradients are accumulated. The mean of
                the gradients of all parts (of all ranks) is what one large batch gives.
            step: steps done before.
            optimisers: by module name.
            by: autocast, backward, descend, and the window to log to.
        """

    def optimiser(self, name: str, learning_rate: float, device: torch.device) -> Optimizer:
        """The optimiser of one module; its state must hold tensors only. Default: AdamW on what requires gradients."""
        return adamw([p for p in self.modules[name].parameters() if p.requires_grad], learning_rate, device)

    def learning_rate_factor(self, step: int, steps_per_epoch: int) -> float:
        """Multiplier of the base learning rate at a step (0-based), for all optimisers. Default: constant."""
        return 1.0

    def state(self, name: str) -> dict[str, Tensor]:
        """What a checkpoint holds of a module. Default: all of it; adapters on a frozen model give only themselves."""
        return dict(self.modules[name].state_dict())

    def load(self, name: str, tensors: dict[str, Tensor], where: str) -> None:
        """Put back what `state` gave, strictly.

        Raises:
            ModelFileError: a tensor is missing, extra or has another shape; `where` names the file.
        """
        strict_load(self.modules[name], tensors, where)
