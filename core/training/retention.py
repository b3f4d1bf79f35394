"""Which checkpoints of a run stay."""

from core.training import generations, light
from core.training.checkpoints import FULL_FOLDER, LIGHT_FOLDER, stars
from core.training.options import RunOptions
from core.training.runs import Run, RunInfo


class Keeper:
    """Deletes what a run's options do not keep, so that its size is bounded however long it trains.

    Full ones: the newest `keep`, every `keep_every_steps`-th, the best, the starred. Light ones: `keep_light`, spread
    over the run, among them the best and the starred. Recordings of probes stay, they are small.
    """

    def __init__(self, run: Run, options: RunOptions) -> None:
        self._run, self._options = run, options

    def prune(self, info: RunInfo) -> None:
        """Called after each save."""
        also = [*stars(self._run), *([info.best_step] if info.best_step is not None else [])]
        options, folder = self._options, self._run.path
        generations.prune(folder / FULL_FOLDER, options.keep, also, options.keep_every_steps)
        if options.keep_light:
            light.thin(folder / LIGHT_FOLDER, options.keep_light, also)
