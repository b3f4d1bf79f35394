"""Trainers of small models, for the tests of the loop."""

from pathlib import Path

import torch
from torch import nn

from core.engines.sovits.config import save_config
from core.engines.sovits.dataset import Example, TrainingSet
from core.engines.sovits.learner import VoiceLearner
from core.engines.sovits.probe import Probes
from core.engines.sovits.recipe import Batch, Recipe
from core.engines.sovits.recipes import create_recipe
from core.nn.discriminators import MultiPeriodDiscriminator
from core.training import generations, light, random_state
from core.training.loop import Fit, Loop
from core.training.metrics import MetricsLog
from core.training.options import TrainOptions, parse_options
from core.training.parallel import ALONE, Ranks
from core.training.runs import Run, RunInfo
from tests.training.material import small_config

CPU = torch.device("cpu")


class Watch:
    """A job's context that stops after a number of questions."""

    def __init__(self, stop_after: int = 10**9) -> None:
        self.left = stop_after
        self.messages: list[str] = []

    @property
    def cancel_requested(self) -> bool:
        self.left -= 1
        return self.left < 0

    def report(self, fraction: float | None, message: str) -> None:
        self.messages.append(message)


def options_for(family: str, **more: object) -> TrainOptions:
    base = {
        "voice": "v",
        "preset": family,
        "steps": 6,
        "batch_size": 2,
        "segment_frames": 8,
        "save_every_steps": 2,
        "log_every_steps": 2,
        "adversarial_from_step": 99,
    }
    return parse_options({**base, **more})


class SmallJudge(nn.Module):
    """A discriminator of one layer: the real ones take a second a step."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(1, 4, 32, 16)

    def forward(self, wav: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
        x = self.conv(wav)
        return x.mean(1), [x]


def recipe_for(family: str, options: TrainOptions) -> Recipe:
    recipe = create_recipe(small_config(family), options)
    if family != "lite":
        judge = recipe.discriminator
        assert isinstance(judge, MultiPeriodDiscriminator)
        judge.discriminators = nn.ModuleList([SmallJudge()])
    return recipe


def trainer_for(
    run: Run,
    options: TrainOptions,
    examples: list[Example],
    recipe: Recipe | None = None,
    probes: bool = False,
    listen: bool = False,
    ranks: Ranks = ALONE,
    device: torch.device = CPU,
) -> Loop[Batch]:
    """A trainer as the job makes it: probes on the first example, training on the others."""
    random_state.seed_everything(options.seed)
    made = recipe or recipe_for(options.preset, options)
    batch_size = options.batch_size * options.accumulate * ranks.count
    dataset = TrainingSet(examples[1:], made.segments(), batch_size, options.seed)
    info = RunInfo(run.name, "v", options.preset, "bands")
    if not run.config_file.exists():
        save_config(made.config, run.config_file)
    probe = Probes(made, examples[:1], "nearest", device, run.path / "probes") if probes else None

    def save_light(step: int) -> Path:
        return light.save_light(run.path / "light", step, made.light_tensors(), run.config_file, {"voice": "v"})

    about = {"data_hash": "d"}
    learner = VoiceLearner(made, options.seed)
    hear = save_light if listen else None
    return Loop(run, info, learner, dataset, options, device, about, probe=probe, listen=hear, ranks=ranks)


def fit(trainer: Loop[Batch], ctx: Watch | None = None) -> Fit:
    """Train with a log in the run's folder."""
    with MetricsLog(trainer.run.path) as metrics:
        return trainer.fit(ctx or Watch(), metrics)


def end_of(trainer: Loop[Batch]) -> generations.Generation:
    """The generation of the last step."""
    return generations.load_generation(trainer.run.checkpoints / generations.generation_name(trainer.options.steps))


def differences(one: generations.Generation, other: generations.Generation) -> list[str]:
    """Names of all that is not the same, bit for bit, in two checkpoints."""
    found = []
    for stem, group in one.tensors.items():
        assert group.keys() == other.tensors[stem].keys()
        found += [
            f"{stem}/{name}" for name, value in group.items() if not torch.equal(value, other.tensors[stem][name])
        ]
    states = [dict(end.state, trained_s=0) for end in (one, other)]
    return found + [key for key in states[0] if states[0][key] != states[1][key]]
