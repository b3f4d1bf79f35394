"""What the training loop needs of VoxCPM: the losses of a step, the optimiser, the schedule."""

import math
from collections.abc import Sequence

import torch
from torch.optim import Optimizer

from core.engines.voxcpm.eight_bit import eight_bit_adamw
from core.engines.voxcpm.export import STEMS
from core.engines.voxcpm.token_batches import Packed
from core.engines.voxcpm.train_options import LEARNING_RATES, VoxTrainOptions
from core.engines.voxcpm.trainable import Trainable
from core.training import random_state
from core.training.descent import Descent, adamw
from core.training.learner import Learner


class VoxLearner(Learner[Packed]):
    """Diffusion and stop losses of the package's model, averaged over the patches of a whole step.

    (The package's script averages micro-batches alike, so that a clip counts less the longer its neighbours are.)
    """

    loss = "loss/total"

    def __init__(self, network: Trainable, options: VoxTrainOptions) -> None:
        self.network, self._options = network, options
        self.modules = {STEMS[options.preset]: network}
        self.base_learning_rate = LEARNING_RATES[options.preset]

    def learn(
        self, parts: Sequence[tuple[int, Packed]], step: int, optimisers: dict[str, Optimizer], by: Descent
    ) -> None:
        """See the base class."""
        options = self._options
        for index, batch in parts:
            random_state.seed_part(options.seed, step, index, 0)
            with by.autocast():
                answer = self.network(**batch.tensors, progress=step / options.steps)
            diff, stop = answer["loss/diff"].float() * batch.weight, answer["loss/stop"].float() * batch.weight
            total = options.lambda_diff * diff + options.lambda_stop * stop
            for name, value in (("diff", diff), ("stop", stop), ("total", total)):
                by.window.add(f"loss/{name}", value)
            by.backward(total, len(parts))
        (optimiser,) = optimisers.values()
        by.window.add("grad_norm", by.descend(optimiser, options.max_grad_norm or None))

    def optimiser(self, name: str, learning_rate: float, device: torch.device) -> Optimizer:
        """AdamW, or one of 8 bits. Raises Unavailable where that one cannot be had."""
        options, parameters = self._options, list(self.modules[name].parameters())
        if options.optimiser == "adamw":
            return adamw(parameters, learning_rate, device, weight_decay=options.weight_decay)
        paged = options.optimiser == "paged_adamw8bit"
        return eight_bit_adamw(parameters, learning_rate, device, options.weight_decay, paged=paged)

    def learning_rate_factor(self, step: int, steps_per_epoch: int) -> float:
        """Rises to 1 over the warm-up, then falls to 0 along half a cosine.

        (The package's begins with a step of rate 0, and rises again after `max_steps`; this one does neither.)
        """
        options = self._options
        if step < options.warmup_steps:
            return (step + 1) / options.warmup_steps
        length = max(1, (options.max_steps or options.steps) - options.warmup_steps)
        return 0.5 * (1.0 + math.cos(math.pi * min(1.0, (step - options.warmup_steps) / length)))
