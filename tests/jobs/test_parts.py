"""The queue's small parts: ETA, contexts, words for failures, the workspace lock, identity of processes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import BadInput, Cancelled, Conflict
from core.jobs import failures, processes
from core.jobs.context import ForegroundContext, WorkerContext
from core.jobs.eta import Eta
from core.jobs.handlers import HANDLERS, find, resolve
from core.jobs.lock import WorkspaceLock
from core.jobs.store import JobStore
from core.jobs.worker import outcome
from core.paths import REPO_ROOT
from core.settings import Settings

# -- ETA


def test_a_steady_pace_is_told_right() -> None:
    eta = Eta()
    left = [eta.update(float(second), second / 100) for second in range(101)]
    assert left[0] is None
    assert left[50] == pytest.approx(50.0)
    assert left[100] == 0.0


def test_a_jump_from_the_cache_is_forgotten() -> None:
    eta = Eta()
    eta.update(0.0, 0.0)
    eta.update(1.0, 0.5)  # found in the cache
    left = [eta.update(1.0 + second, 0.5 + second * 0.001) for second in range(1, 120)]
    assert left[-1] == pytest.approx((1.0 - 0.619) / 0.001, rel=0.05)


def test_no_promise_without_progress_and_none_after_starting_over() -> None:
    eta = Eta()
    assert [eta.update(float(second), 0.0) for second in range(50)] == [None] * 50
    eta.update(60.0, 0.5)
    assert eta.update(61.0, 0.1) is None


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0, 1)), max_size=50))
def test_an_estimate_is_never_negative(steps: list[tuple[float, float]]) -> None:
    eta, now = Eta(), 0.0
    for spent, fraction in steps:
        now += spent
        left = eta.update(now, fraction)
        assert left is None or left >= 0.0


# -- contexts


def test_foreground_progress_sub_ranges_and_cancel() -> None:
    seen: list[tuple[float, str]] = []
    context = ForegroundContext(Settings(), lambda fraction, message: seen.append((fraction, message)))
    context.progress(0.0, "start")
    half = context.sub(0.5, 1.0)
    half.progress(0.5, "inner")
    half.sub(0.5, 1.0).progress(7.0, "beyond")  # clipped
    context.report(float("nan"), "odd")
    assert seen == [(0.0, "start"), (0.75, "inner"), (1.0, "beyond"), (0.0, "odd")]
    context.request_cancel()
    assert half.cancel_requested
    half.report(None, "saving")  # must not raise
    assert seen[-1] == (0.0, "saving")
    with pytest.raises(Cancelled):
        half.progress(1.0)
    with pytest.raises(Cancelled):
        context.check()


def test_a_thousand_reports_are_a_few_calls() -> None:
    seen: list[float] = []
    context = ForegroundContext(Settings(), lambda fraction, _: seen.append(fraction))
    for step in range(1001):
        context.progress(step / 1000, "same words")
    assert len(seen) < 500
    assert seen[-1] == 1.0


def test_worker_context_asks_the_database_seldom_and_hears_a_cancel(tmp_path: Path) -> None:
    store = JobStore(tmp_path / "db.sqlite3")
    job = store.add("x", {}, lane="work")
    store.claim("work")
    context = WorkerContext(Settings(), store, job.id, None)
    statements: list[str] = []
    store._connection.set_trace_callback(statements.append)
    for step in range(500):
        context.progress(step / 1000, "same")
    assert len(statements) < 50
    store.request_cancel(job.id)
    while not context.cancel_requested:
        pass
    with pytest.raises(Cancelled):
        context.check()
    store._connection.set_trace_callback(None)


def test_worker_context_survives_a_closed_or_removed_database(tmp_path: Path) -> None:
    store = JobStore(tmp_path / "db.sqlite3", busy_timeout_s=0.05)
    job = store.add("x", {}, lane="work")
    store.claim("work")
    store._connection.execute("DROP TABLE jobs")
    context = WorkerContext(Settings(), store, job.id, None)
    context.progress(1.0, "done")
    assert not context.cancel_requested


def test_stopped_counts_only_if_a_stop_was_asked_for() -> None:
    assert outcome({"stopped": True}, True)[0] == "cancelled"
    assert outcome({"stopped": True}, False)[0] == "completed"
    assert outcome({"stopped": False}, True)[0] == "completed"
    with pytest.raises(TypeError, match="NoneType"):
        outcome(None, False)


# -- handlers


def test_the_registry_names_importable_places() -> None:
    assert set(HANDLERS) >= {"prep", "train", "convert"}
    for handler in HANDLERS.values():
        module, _, function = handler.target.partition(":")
        assert module.startswith("core.")
        assert function.isidentifier()
    with pytest.raises(BadInput, match="prep"):
        find(HANDLERS, "nothing")


@pytest.mark.parametrize("target", ["", "os", "os:", ":system", "os:path.join", "os; import sys:x", "a b:c", "../x:y"])
def test_only_plain_targets_are_resolved(target: str) -> None:
    with pytest.raises(BadInput):
        resolve(target)


# -- failures


@pytest.mark.parametrize(
    ("exit_code", "says"),
    [
        (3, "exit code 3"),
        (0, "without a result"),
        (None, "without a result"),
        (-9, "SIGKILL"),
        (-11, "crash inside a library"),
        (-64, "signal 64"),
        (0xC0000005, "0xC0000005"),
    ],
)
def test_how_a_worker_ended(exit_code: int | None, says: str) -> None:
    error = failures.crashed(exit_code, Path("job.log"))
    assert says in error.message or says in repr(error.message) or "SIGRT" in error.message
    assert "job.log" in error.hint


def test_last_words_leave_out_tracebacks(tmp_path: Path) -> None:
    log = tmp_path / "job.log"
    log.write_text(
        'loading\nFatal Python error: Segmentation fault\n\nCurrent thread 0x1:\n  File "x.py", line 1 in f\n'
        'Traceback (most recent call last):\n  File "y.py"\nValueError: reason\n',
        encoding="utf-8",
    )
    assert failures.last_lines(log) == "loading | ValueError: reason"
    log.write_bytes(b"\xff\xfe" * 10_000 + b"\nthe end\n")
    assert failures.last_lines(log).endswith("the end")
    assert failures.last_lines(tmp_path / "none") == ""


class OutOfMemoryError(RuntimeError):
    """Named as torch's."""


@pytest.mark.parametrize(
    ("err", "code", "says"),
    [
        (BadInput("m", "h"), "bad_input", "m"),
        (OSError(28, "No space left on device", "/x/y"), "no_space", "y"),
        (OutOfMemoryError("CUDA out of memory"), "unavailable", "GPU"),
        (RuntimeError("CUDA error: unspecified launch failure"), "unavailable", "GPU"),
        (MemoryError(), "unavailable", "memory"),
        (ModuleNotFoundError("No module named 'pyworld'", name="pyworld"), "unavailable", "pyworld"),
        (ModuleNotFoundError("No module named 'core.x'", name="core.x"), "bug", "ModuleNotFoundError"),
        (PermissionError(13, "denied", "/x/y"), "bad_input", "/x/y"),
        (ZeroDivisionError("division by zero"), "bug", "ZeroDivisionError"),
    ],
)
def test_every_exception_has_a_clean_sentence(err: Exception, code: str, says: str) -> None:
    told = failures.describe(err, Path("job.log"))
    assert told.code == code
    assert says in told.message
    assert told.hint


# -- lock


def test_the_lock_is_let_go_when_its_process_is_killed(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from core.jobs.lock import WorkspaceLock;"
        "lock = WorkspaceLock(Path(sys.argv[1])); lock.acquire('http://127.0.0.1:1234');"
        "print('held', flush=True); time.sleep(60)"
    )
    path = tmp_path / "studio.lock"
    command = [sys.executable, "-c", code, str(path)]
    child = subprocess.Popen(command, cwd=REPO_ROOT, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "held\n"
    mine = WorkspaceLock(path)
    with pytest.raises(Conflict, match="1234") as err:
        mine.acquire("http://127.0.0.1:1")
    assert str(child.pid) in err.value.message
    assert not mine.held
    child.kill()
    child.wait()
    child.stdout.close()
    mine.acquire("http://127.0.0.1:2")
    assert mine.holder()["url"] == "http://127.0.0.1:2"
    mine.acquire("http://127.0.0.1:33")
    assert mine.holder()["url"] == "http://127.0.0.1:33"
    mine.release()
    assert not mine.held


def test_a_lock_file_with_rubbish_in_it_is_no_obstacle(tmp_path: Path) -> None:
    path = tmp_path / "studio.lock"
    path.write_bytes(b"\xff{not json")
    lock = WorkspaceLock(path)
    assert lock.holder() == {}
    lock.acquire("u")
    assert lock.holder()["pid"] == os.getpid()


# -- processes


def test_identity_of_processes() -> None:
    pid, started = processes.identity()
    assert processes.is_alive(pid, started)
    assert not processes.is_alive(pid, started + 3)
    assert not processes.is_alive(pid, started, "another job's mark")
    assert not processes.is_alive(None, None)
    child = subprocess.Popen([sys.executable, "-c", "pass"])
    child.wait()
    assert processes.started_at(child.pid) is None


def test_a_zombie_is_not_alive() -> None:
    child = subprocess.Popen([sys.executable, "-c", "print('x', flush=True)"], stdout=subprocess.PIPE)
    started = processes.started_at(child.pid)
    assert started is not None
    assert child.stdout is not None
    child.stdout.read()
    while processes.is_alive(child.pid, started):  # until it has exited, unwaited for
        pass
    child.stdout.close()
    child.wait()


def test_a_lock_in_a_place_that_cannot_be_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BadInput, match="cannot be used"):
        WorkspaceLock(tmp_path / "file" / "studio.lock").acquire()
