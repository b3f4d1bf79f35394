"""What the runs of networks beside a voice model share: how they are probed, and how what they made is handed over."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from core.engines.sovits.dataset import TrainingSet
from core.engines.sovits.material import Material
from core.training import proof
from core.training.job import Session
from core.training.learner import Learner
from core.training.loop import Loop
from core.training.metrics import MetricsLog
from core.training.publish import publish

LONGEST_PROBE_FRAMES = 860


def loop(
    session: Session[Any],
    learner: Learner[Any],
    batches: TrainingSet,
    data: Material,
    curve: str,
    judge: Callable[[], float],
) -> Loop[Any]:
    """The common loop, with `judge` (lower is better) asked at each probe and drawn as `probe/<curve>`."""

    def probe(step: int, metrics: MetricsLog) -> float:
        value = judge()
        metrics.scalars(step, {f"probe/{curve}": value}, time.time())
        return value

    return Loop(
        *(session.run, session.info, learner, batches, session.options, session.device),
        about=session.about(data.data_hash),
        probe=probe,
        ranks=session.ranks,
    )


def hand_over(
    folder: Path, write: Callable[[Path], None], data: Material, verifier: str | None, what: str
) -> dict[str, Any]:
    """Publish what `write` puts into a folder as `folder`, once a fresh process has used it on a held-out clip.

    `verifier` is the module that this process runs, None for no proof; `what` names the part in errors. Returns what
    the proof measured. Raises BadRender and the errors of `publish`; what was in `folder` stays then.
    """
    figures: dict[str, Any] = {}

    def check(fresh: Path) -> None:
        arguments = [str(fresh), str(data.held_out[0].audio), str(data.held_out[0].features)]
        figures.update(proof.ask_fresh_process(str(verifier), arguments, what))

    publish(folder, write, check if verifier else None)
    return figures
