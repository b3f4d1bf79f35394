"""A full disk makes a run wait with a clear word; a folder that vanishes is made again."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.engines.sovits.dataset import Example
from core.training import generations, saving
from core.training.runs import create_run
from tests.training.trainers import Watch, differences, end_of, fit, options_for, trainer_for

resource = pytest.importorskip("resource", reason="file size limits are POSIX")


@pytest.fixture(autouse=True)
def unlimited(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(saving, "RETRY_S", 0.05)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def limit(n_bytes: int) -> None:
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard if n_bytes < 0 else n_bytes, hard))


class FullDisk(Watch):
    """Files may be small only, from step 3 on until the run has said twice that it waits."""

    def __init__(self, run_file: Path, give_up: bool = False) -> None:
        super().__init__()
        self.run_file, self.give_up, self.paused, self.stop = run_file, give_up, [], False

    @property
    def cancel_requested(self) -> bool:
        return self.stop

    def report(self, fraction: float | None, message: str) -> None:
        super().report(fraction, message)
        if message.startswith("step 3"):
            limit(50_000)
        if message.startswith("Paused"):
            self.paused.append(message)
            assert json.loads(self.run_file.read_text())["paused"]
            if len(self.paused) == 2:
                self.stop = self.give_up
                limit(50_000 if self.give_up else -1)


def test_a_full_disk_makes_the_run_wait_and_changes_nothing(tmp_path: Path, three_clips: list[Example]) -> None:
    options = options_for("lite", steps=6, log_every_steps=1)
    whole = trainer_for(create_run(tmp_path, "whole", "v", "lite"), options, three_clips, listen=True)
    fit(whole)
    run = create_run(tmp_path, "full", "v", "lite")
    trainer = trainer_for(run, options, three_clips, listen=True)
    ctx = FullDisk(run.path / "run.json")
    done = fit(trainer, ctx)
    assert (done.step, done.stopped) == (6, False)
    assert len(ctx.paused) == 2
    assert "needs" in ctx.paused[0]
    assert differences(end_of(whole), end_of(trainer)) == []
    info = run.read()
    assert info.paused is None
    assert "waited" in info.notes[0]
    assert len(info.notes) == 1


def test_a_stop_while_the_disk_is_full_keeps_the_last_generation(tmp_path: Path, three_clips: list[Example]) -> None:
    run = create_run(tmp_path, "r", "v", "lite")
    trainer = trainer_for(run, options_for("lite", steps=6, log_every_steps=1), three_clips)
    done = fit(trainer, FullDisk(run.path / "run.json", give_up=True))
    assert done.stopped
    limit(-1)
    found, notes = generations.load_newest(run.checkpoints)
    assert found is not None
    assert (found.step, notes) == (2, [])
    assert "step 2 is the last one" in run.read().notes[0]
    assert [p.name for p in run.checkpoints.iterdir()] == ["step_00000002"]


def test_a_folder_deleted_under_a_run_is_made_again(tmp_path: Path, three_clips: list[Example]) -> None:
    run = create_run(tmp_path, "r", "v", "lite")
    trainer = trainer_for(run, options_for("lite", steps=5, log_every_steps=1), three_clips)

    class Vandal(Watch):
        def report(self, fraction: float | None, message: str) -> None:
            if message.startswith("step 3"):
                shutil.rmtree(run.path)

    assert fit(trainer, Vandal()).step == 5
    assert any("was deleted before step 4" in note for note in run.read().notes)
    assert [row["step"] for row in run.metrics()] == [4, 5]
    assert list(run.path.glob("events.out.tfevents.*"))
    again = trainer_for(run, options_for("lite", steps=6), three_clips)
    assert again.restore()
    assert again.step == 5
