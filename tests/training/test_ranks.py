"""One job, several processes: they learn what one learns from the same clips, stop as one, and fail as one."""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from benchmarks.crash.stage import RUN, Stage, run_of
from core.errors import BadInput
from core.jobs.model import FINAL, Job
from core.jobs.queue import JobQueue
from core.jobs.store import JobStore
from core.settings import Settings
from core.training import generations, ranks
from core.training.options import TrainOptions
from tests.training.trainers import differences

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
PATIENCE_S = 240.0  # a bound for a hung test, not a measurement


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Stage:
    """A small voice, and a run of it that has not started."""
    return Stage(tmp_path_factory.mktemp("stage"))


class Bench:
    """A workspace with a queue that dispatches."""

    def __init__(self, stage: Stage) -> None:
        self.workspace = stage.fresh()
        self.settings: Settings = stage.settings(self.workspace)
        self.queue = JobQueue(JobStore(self.settings.database), self.settings)
        self.queue.start("here")
        self.run = run_of(self.workspace)

    def job(self, **options: object) -> Job:
        return self.queue.submit("train", {"resume": RUN, **options}, "crash")

    def until(self, what: Callable[[], object]) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not what():
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def end(self, job: Job) -> Job:
        self.until(lambda: self.queue.store.get(job.id).state in FINAL)
        return self.queue.store.get(job.id)

    def ranks_of(self, job: Job) -> list[psutil.Process]:
        worker = psutil.Process(self.queue.store.get(job.id).pid)
        return sorted((p for p in worker.children() if "--follow" in p.cmdline()), key=lambda p: p.pid)


@pytest.fixture
def bench(stage: Stage) -> Iterator[Bench]:
    made = Bench(stage)
    yield made
    made.queue.stop()


@pytest.mark.slow
def test_a_job_of_two_processes_learns_what_one_learns(stage: Stage, bench: Bench) -> None:
    done = bench.end(bench.job(ranks=2))
    assert done.state == "completed", done.error
    assert done.progress == 1.0
    info = bench.run.read()
    assert (info.state, info.sessions[-1]["ranks"], info.pid) == ("completed", 2, None)
    assert (info.step, Path(str(info.model)).is_dir()) == (6, True)
    alone = Bench(stage)
    try:
        one = alone.end(alone.job(accumulate=2))
    finally:
        alone.queue.stop()
    assert one.state == "completed", one.error
    ends = [generations.load_newest(b.run.checkpoints)[0] for b in (bench, alone)]
    # The means of losses that are logged are added in another order; the weights are equal bit for bit.
    assert set(differences(*ends)) <= {"guard", "window", "best_value"}  # type: ignore[arg-type]


@pytest.mark.slow
def test_one_process_dies_the_run_fails_in_words_and_resumes(bench: Bench) -> None:
    job = bench.job(ranks=2, steps=60)
    bench.until(lambda: bench.run.read().saved_step)
    victim = bench.ranks_of(job)[1]
    os.kill(victim.pid, signal.SIGKILL)
    done = bench.end(job)
    info = bench.run.read()
    assert (done.state, info.state, info.pid) == ("failed", "failed", None)
    assert done.error == info.error
    assert info.error is not None
    assert info.error["code"] == "rank_lost"
    assert "Process 2 of the 2" in info.error["message"]
    assert "SIGKILL" in info.error["message"]
    saved = generations.load_newest(bench.run.checkpoints)[0].step  # type: ignore[union-attr]
    again = bench.job(ranks=2, steps=saved + 1)
    stopped = bench.end(again)
    assert stopped.state == "completed", stopped.error
    assert bench.run.read().step == saved + 1
    assert bench.run.read().sessions[-1]["from_step"] == saved


def test_a_stop_reaches_all_and_saves(bench: Bench) -> None:
    job = bench.job(ranks=2, steps=5000)
    bench.until(lambda: bench.run.read().saved_step)
    processes = bench.ranks_of(job)
    assert len(processes) == 2
    bench.queue.cancel(job.id)
    done = bench.end(job)
    assert done.state == "cancelled", done.error
    info = bench.run.read()
    assert (info.state, info.saved_step) == ("stopped", info.step)
    bench.until(lambda: not any(p.is_running() and p.status() != psutil.STATUS_ZOMBIE for p in processes))


@pytest.mark.parametrize(
    ("devices", "found"), [("", []), ("0", [0]), ("0,1", [0, 1]), ("0-1-2", [0, 1, 2]), (" 3 , 1", [3, 1])]
)
def test_gpus_are_named_by_number(devices: str, found: list[int]) -> None:
    assert ranks.gpus(devices) == found
    assert ranks.count(TrainOptions(voice="v", devices=devices)) == max(1, len(found))


@pytest.mark.parametrize("devices", ["cuda:0", "0,0", "1,,2", "-1", "1.5", "٣"])
def test_what_names_no_gpu_is_refused(devices: str) -> None:
    with pytest.raises(BadInput, match="does not name"):
        ranks.gpus(devices)


def test_as_many_processes_as_gpus() -> None:
    assert ranks.count(TrainOptions(voice="v", ranks=3)) == 3
    assert ranks.count(TrainOptions(voice="v", ranks=2, devices="0,1")) == 2
    with pytest.raises(BadInput, match="3 processes"):
        ranks.count(TrainOptions(voice="v", ranks=3, devices="0,1"))


def test_numbers_count_within_what_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert ranks._visible([1, 0]) == {"CUDA_VISIBLE_DEVICES": "1,0"}
    assert ranks._visible([]) == {}
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5,GPU-7a")
    assert ranks._visible([1]) == {"CUDA_VISIBLE_DEVICES": "GPU-7a"}
    with pytest.raises(BadInput, match="no GPU 2"):
        ranks._visible([0, 2])
