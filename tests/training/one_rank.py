"""A rank of test_parallel, started by torchrun: RUN_FOLDER and examples as ID|AUDIO|FEATURES|FRAMES."""

import sys
from pathlib import Path

import torch

from core.engines.sovits.dataset import Example
from core.training import parallel
from core.training.runs import Run
from tests.training.test_parallel import COMMON
from tests.training.trainers import CPU, Watch, fit, options_for, trainer_for


def main(arguments: list[str]) -> None:
    torch.set_num_threads(1)
    run = Run(Path(arguments[0]))
    fields = [text.split("|") for text in arguments[1:]]
    examples = [Example(f[0], Path(f[1]), Path(f[2]), int(f[3])) for f in fields]
    ranks = parallel.join(CPU)
    if not ranks.first:
        ranks.wait()  # the first one writes config.json
    trainer = trainer_for(run, options_for("lite", **COMMON), examples, ranks=ranks)
    if ranks.first:
        ranks.wait()
    batch = trainer.batches.batch(0, 0, ranks.rank, ranks.count)
    (run.path / f"batch_{ranks.rank}").write_text(str(float(batch.audio.double().square().sum())))
    if ranks.first:
        fit(trainer)
    else:
        trainer.fit(Watch(), None)


if __name__ == "__main__":
    main(sys.argv[1:])
