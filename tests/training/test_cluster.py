"""A run on a Ray cluster is handed over, followed, stopped and told about as one that trains here."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import psutil
import pytest

from benchmarks.crash.stage import Stage
from core.errors import BadInput, Conflict, StudioError, Unavailable
from core.training import stopfile
from core.training.alive import host
from core.training.desk import TrainingDesk
from core.training.ray_jobs import RayJobs, plain_address
from core.training.runs import list_runs
from tests.training.test_ranks import Bench, stage  # noqa: F401

RAY = os.environ.get("RAY") or shutil.which("ray") or shutil.which("ray", path=str(Path(sys.executable).parent))
"""The cluster's own program; it need not be in the studio's environment."""
needs_ray = pytest.mark.skipif(RAY is None, reason='Ray is not here: pip install "ray[default]", or name it in RAY')


def until(what: Callable[[], object], seconds: float = 240.0) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(server: RayJobs) -> bool:
    try:
        return bool(server.version())
    except Unavailable:
        return False


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A head of one CPU on this machine."""
    port = free_port()
    folder = Path(f"/tmp/ray-{os.getpid()}")  # Unix sockets want short paths
    command = [
        *(str(RAY), "start", "--head", "--block", "--num-cpus", "1", "--num-gpus", "0", "--port", str(free_port())),
        *("--dashboard-host", "127.0.0.1", "--dashboard-port", str(port), "--object-store-memory", "80000000"),
        *("--temp-dir", str(folder), "--disable-usage-stats", "--include-log-monitor", "false"),
    ]
    log = tmp_path_factory.mktemp("ray") / "log"
    with open(log, "wb") as out:
        head = subprocess.Popen(command, stdout=out, stderr=out, start_new_session=True)
    everything: list[psutil.Process] = []
    try:
        server = RayJobs(f"127.0.0.1:{port}")
        until(lambda: answers(server) or head.poll() is not None)
        assert head.poll() is None, log.read_text()
        everything = psutil.Process(head.pid).children(recursive=True)
        yield server.address
        everything = psutil.Process(head.pid).children(recursive=True)
    finally:
        head.terminate()
        try:
            head.wait(60)
        except subprocess.TimeoutExpired:
            os.killpg(head.pid, signal.SIGKILL)
        for process in everything:
            if process.is_running():
                process.kill()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def bench(stage: Stage) -> Iterator[Bench]:  # noqa: F811
    made = Bench(stage)
    yield made
    made.queue.stop()


@needs_ray
@pytest.mark.slow
def test_a_run_on_a_cluster_is_followed_stopped_and_resumed(cluster: str, bench: Bench) -> None:
    job = bench.job(cluster=cluster, steps=5000)
    until(lambda: (bench.run.read().saved_step or 0) >= 4)
    shown = list_runs(bench.settings.runs)[0]
    assert (shown.state, shown.host) == ("running", host())
    worker = bench.queue.store.get(job.id).pid
    assert shown.pid not in (None, worker)
    assert shown.pid not in [child.pid for child in psutil.Process(worker).children(recursive=True)]
    until(lambda: "step " in bench.queue.store.get(job.id).message)
    bench.queue.cancel(job.id)
    done = bench.end(job)
    info = bench.run.read()
    assert (done.state, info.state) == ("cancelled", "stopped"), done.error
    assert info.saved_step == info.step > 0
    again = bench.end(bench.job(steps=info.step + 1))  # where it was before
    assert again.state == "completed", again.error
    assert bench.run.read().sessions[-1]["from_step"] == info.step


@needs_ray
@pytest.mark.slow
def test_a_process_that_dies_on_the_cluster_is_a_failed_run_that_resumes_here(cluster: str, bench: Bench) -> None:
    job = bench.job(cluster=cluster, steps=5000)
    until(lambda: (bench.run.read().saved_step or 0) >= 4)
    pid = bench.run.read().pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    done = bench.end(job)
    info = bench.run.read()
    assert (done.state, info.state) == ("failed", "failed")
    assert info.error is not None
    assert info.error["code"] == "cluster_lost"
    here = bench.end(bench.job(cluster="", steps=(info.saved_step or 0) + 1))
    assert here.state == "completed", here.error


def test_a_cluster_that_does_not_answer_changes_nothing(bench: Bench) -> None:
    before = (bench.run.path / "run.json").read_bytes()
    done = bench.end(bench.job(cluster=f"127.0.0.1:{free_port()}"))
    assert done.error is not None
    assert "does not answer" in done.error["message"]
    assert (bench.run.path / "run.json").read_bytes() == before


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("head", "http://head:8265"),
        ("10.0.0.5:8000", "http://10.0.0.5:8000"),
        (" http://head:8265/ ", "http://head:8265"),
        ("https://ray.example.org", "https://ray.example.org:443"),
        ("[::1]:9", "http://[::1]:9"),
    ],
)
def test_addresses(typed: str, meant: str) -> None:
    assert plain_address(typed) == meant


@pytest.mark.parametrize(
    "typed", ["", "ray://head:10001", "http://", "head:port", "http://h/api", "u:p@head", "file:///etc"]
)
def test_what_is_no_address(typed: str) -> None:
    with pytest.raises(BadInput, match="not the address"):
        plain_address(typed)


class Stranger(BaseHTTPRequestHandler):
    """Another program's server."""

    def do_GET(self) -> None:
        code, body = (500, b"Traceback\nno such job") if "jobs" in self.path else (200, b"<html>")
        self.send_response(code)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words: object) -> None:
        pass


def test_another_server_than_ray_is_told_in_words() -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Stranger)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        jobs = RayJobs(f"127.0.0.1:{server.server_port}")
        with pytest.raises(StudioError, match="not Ray's"):
            jobs.version()
        with pytest.raises(StudioError, match="answered 500: no such job"):
            jobs.state("x")
    finally:
        server.shutdown()
        server.server_close()


def test_a_file_stops_a_run_and_a_new_start_forgets_it(bench: Bench) -> None:
    job = bench.job(steps=5000)
    until(lambda: bench.run.read().saved_step)
    desk = TrainingDesk(bench.settings)
    desk.stop(bench.run.name)
    done = bench.end(job)
    info = bench.run.read()
    assert (info.state, info.saved_step) == ("stopped", info.step), done.error
    with pytest.raises(Conflict, match="not going on"):
        desk.stop(bench.run.name)
    stopfile.ask(bench.run)
    bench.end(bench.job(steps=info.step + 2))
    assert bench.run.read().state == "completed"
