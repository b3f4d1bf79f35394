"""All that a person does with training runs beside starting them: the facade that the doors call. Light: no torch."""

import hashlib
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core.errors import BadInput, Conflict, NotFound
from core.paths import unique_path
from core.settings import Settings
from core.training import checkpoints, choosing, exporting, listening, reproduce, runs, stopfile
from core.training.checkpoints import Checkpoint, DiskUse
from core.training.choosing import Suggestion
from core.training.listening import Choice, Kind, ListeningTest, Question, Result
from core.training.runs import Run, RunInfo

TRASH = ".trash"


class TrainingDesk:
    """Runs of one studio. All methods raise NotFound for a run that is not there."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def _run(self, name: str) -> Run:
        return runs.open_run(self._settings.runs, name)

    def _info(self, name: str) -> RunInfo:
        return self._run(name).read()

    # -- checkpoints

    def checkpoints(self, run: str) -> list[Checkpoint]:
        """Newest first, full and light ones of a step together."""
        return checkpoints.list_checkpoints(self._run(run))

    def star(self, run: str, step: int, on: bool = True, label: str = "") -> dict[int, str]:
        """Keep a checkpoint, or let it go. Returns the starred steps with labels. Raises NotFound."""
        return checkpoints.star(self._run(run), step, on, label)

    def disk_use(self, run: str) -> DiskUse:
        """What a run takes on the disk."""
        return checkpoints.disk_use(self._run(run))

    def suggest_best(self, run: str) -> Suggestion | None:
        """The checkpoint to try first, with reasons; None where nothing was measured."""
        found = self._run(run)
        steps = [checkpoint.step for checkpoint in checkpoints.list_checkpoints(found)]
        return choosing.suggest(found.metrics(), steps)

    def exported(self, run: str) -> list[Path]:
        """Files that the job "export" wrote for this run."""
        return exporting.exported(self._run(run))

    def stop_takes_s(self, run: str) -> float:
        """About how long a stop takes: a step and a save."""
        info = self._info(run)
        return (info.step_s or 1.0) + (info.save_s or 5.0)

    def stop(self, run: str) -> None:
        """Ask a run to save and stop, wherever it trains. For runs without a job of this studio: a job is cancelled.

        Raises:
            Conflict: it is not going on.
        """
        found = self._run(run)
        if not runs.is_going(found.path, found.read()):
            raise Conflict(f"The run '{run}' is not going on.", "There is nothing to stop.", where=run)
        stopfile.ask(found)

    # -- settings of runs

    def clone(self, run: str, changes: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Options for a new run as this one, but for `changes`; give them to `Studio.train`. Raises BadInput."""
        return reproduce.clone_options(self._info(run), dict(changes or {}))

    def diff(self, one: str, other: str) -> list[tuple[str, Any, Any]]:
        """(setting, of one, of the other) where they differ."""
        return reproduce.diff(self._info(one), self._info(other))

    def manifest(self, run: str) -> dict[str, Any]:
        """What it takes to make the run again. Raises NotFound for a run that has not got that far."""
        return reproduce.read_manifest(self._run(run))

    def recreate(self, manifest: bytes | Path, name: str | None = None) -> tuple[str, list[str]]:
        """A new run that repeats a manifest's, to be started by `Studio.resume`; what differs here and now.

        Raises:
            BadInput: not a manifest.
            NotFound: the voice is not here.
        """
        if isinstance(manifest, Path) and not manifest.is_file():
            raise NotFound(f"There is no file {manifest}.", "Choose the manifest.json of a run.")
        data = manifest.read_bytes() if isinstance(manifest, Path) else manifest
        run, differs = reproduce.recreate(self._settings, reproduce.check_manifest(data, "manifest"), name)
        return run.name, differs

    def delete(self, run: str) -> Path:
        """Move a run to the trash folder beside the runs; returns where it lies now. Voices made of it stay.

        Raises:
            Conflict: it is going on.
        """
        self.refuse_while_going(run)
        found = self._run(run)
        trash = self._settings.runs / TRASH
        trash.mkdir(exist_ok=True)
        place = unique_path(trash / f"{found.name}-{time.strftime('%Y%m%d-%H%M%S')}")
        found.path.rename(place)
        return place

    def refuse_while_going(self, run: str) -> None:
        """Raises NotFound, Conflict (the run is going on)."""
        found = self._run(run)
        if runs.is_going(found.path, found.read()):
            raise Conflict(f"The run '{run}' is going on.", "Stop it first.", where=run)

    # -- listening

    def start_listening(
        self,
        run: str,
        step_a: int,
        step_b: int,
        kind: Kind = "ab",
        rounds: int = 10,
        seed: int | None = None,
        *,
        run_b: str | None = None,
    ) -> ListeningTest:
        """A blind test of two checkpoints' recordings of the held-out clips; it is kept in the folder of `run`.

        `run_b`: the run of `step_b`, if it is another one; only clips that both hold out are compared.

        Raises:
            BadInput: one of them has no recordings, they are the same, or the runs hold out different clips.
        """
        found, other = self._run(run), self._run(run_b or run)
        if (found.name, step_a) == (other.name, step_b):
            raise BadInput("These are the same checkpoint.", "Choose two.")
        wanted = ((found, step_a), (other, step_b))
        sides = [sorted((one.path / "probes" / f"step_{step:08d}").glob("*.flac")) for one, step in wanted]
        common = {p.name for p in sides[0]} & {p.name for p in sides[1]}
        if found.name != other.name:
            of_one, of_other = _held_out(found), _held_out(other)
            common = {name for name in common if name in of_one and of_one[name] == of_other.get(name)}
        if not common:
            raise BadInput(
                "There are no recordings of both checkpoints.",
                "Choose steps at which the run rendered its probes; of two runs, such as hold out the same clips.",
            )
        first, second = ([path for path in side if path.name in common] for side in sides)
        both = found.name != other.name
        labels = [f"{one.name}, step {step}" if both else f"step {step}" for one, step in wanted]
        return listening.create(found.path, (labels[0], first), (labels[1], second), kind, rounds, seed)

    def listening_tests(self, run: str) -> list[ListeningTest]:
        """Newest first."""
        return listening.list_tests(self._run(run).path)

    def next_question(self, run: str, test_id: str) -> Question | None:
        """The first round without a vote; None when all have one."""
        folder = self._run(run).path
        return listening.next_question(folder, listening.load(folder, test_id))

    def vote(self, run: str, test_id: str, number: int, choice: Choice) -> Question | None:
        """Keep a vote; returns the next question. Raises BadInput, Conflict (closed)."""
        folder = self._run(run).path
        return listening.next_question(folder, listening.vote(folder, test_id, number, choice))

    def close_listening(self, run: str, test_id: str) -> Result:
        """Reveal the result; no more votes."""
        return listening.close(self._run(run).path, test_id)


def _held_out(run: Run) -> dict[str, str]:
    """sha256 of the recordings that a run's probes are rendered of, by file name; they are few and short."""
    files = (run.path / "probes" / "recording").glob("*.flac")
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}
