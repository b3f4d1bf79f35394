"""A real queue on a real database, with the sample handlers."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from core.jobs.handlers import Handler
from core.jobs.model import FINAL, Job
from core.jobs.queue import JobQueue
from core.jobs.store import JobStore
from core.settings import Settings

PATIENCE_S = 90.0  # far beyond what anything takes; a bound for a hung test, not a measurement


def _handlers() -> dict[str, Handler]:
    names = (
        "sleepy until_told saves_when_stopped bad_input bug exits kills_itself leaves_child disk_full "
        "out_of_disk odd_result not_json missing_package"
    )
    found = {name: Handler(f"sample_handlers:{name}", lane="work") for name in names.split()}
    found["deaf_with_child"] = Handler("sample_handlers:deaf_with_child", lane="work", grace_s=0.5)
    found["hangs_at_exit"] = Handler("sample_handlers:hangs_at_exit", lane="work", grace_s=0.5)
    found["side"] = Handler("sample_handlers:until_told", lane="side")
    found["nowhere"] = Handler("no_such_module_here:run", lane="work")
    return found


class Bench:
    """A workspace, and as many studios' queues on it as a test opens."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.settings = Settings(workspace=root / "workspace ü 声")
        self.store = JobStore(self.settings.database)
        self.opened: list[JobQueue] = []

    def queue(self) -> JobQueue:
        queue = JobQueue(JobStore(self.settings.database), self.settings, _handlers())
        self.opened.append(queue)
        return queue

    def until(self, what: Callable[[], object], why: str) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not what():
            assert time.monotonic() < deadline, f"waited in vain: {why}"
            time.sleep(0.02)

    def ended(self, job: Job) -> Job:
        self.until(lambda: self.store.get(job.id).state in FINAL, f"job {job.id} ({job.kind}) to end")
        return self.store.get(job.id)

    def file(self, name: str) -> Path:
        """Wait for a file with content."""
        path = self.root / name
        self.until(lambda: path.exists() and path.read_text(), f"{name} to appear")
        return path

    def gone(self, *pids: int) -> None:
        for pid in pids:
            self.until(lambda pid=pid: _is_gone(pid), f"process {pid} to be gone")


def _is_gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    bench = Bench(tmp_path)
    yield bench
    from core.jobs import processes

    for queue in bench.opened:
        queue.stop()
        queue.store.close()
    for job in bench.store.list(limit=1000):
        processes.end(processes.tree(None, processes.mark_of(bench.settings.database, job.id)), 0.2)
    bench.store.close()


@pytest.fixture
def queue(bench: Bench) -> JobQueue:
    """A started dispatcher."""
    queue = bench.queue()
    queue.start("http://127.0.0.1:7860")
    return queue
