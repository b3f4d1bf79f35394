"""The queue with real worker processes: how each kind of end is told, and that nothing survives a cancel."""

import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from core.errors import BadInput, Conflict, NotFound
from core.jobs import processes
from core.jobs.queue import JobQueue
from core.paths import REPO_ROOT

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
Bench = Any  # tests/jobs/conftest.py


def test_a_job_runs_in_its_own_process_and_returns_its_result(bench: Bench, queue: JobQueue) -> None:
    job = queue.submit("sleepy", {"steps": 3, "touch": str(bench.root / "began")}, voice="Ä")
    assert job.state == "queued"
    done = bench.ended(job)
    assert (done.state, done.progress, done.voice) == ("completed", 1.0, "Ä")
    assert done.result == {"steps": 3, "workspace": str(bench.settings.workspace), "job": job.id}
    assert done.error is None
    assert done.eta_s is None
    assert int(bench.file("began").read_text()) == done.pid != os.getpid()
    assert done.created_at <= done.started_at <= done.finished_at
    assert "starts, process" in Path(done.log).read_text(encoding="utf-8")


def test_progress_and_eta_are_seen_while_it_runs(bench: Bench, queue: JobQueue) -> None:
    job = queue.submit("sleepy", {"steps": 200, "step_s": 0.03})
    bench.until(lambda: bench.store.get(job.id).eta_s, "an estimate")
    seen = bench.store.get(job.id)
    assert 0.0 < seen.progress < 1.0
    assert seen.message.startswith("step ")
    assert 0.0 < seen.eta_now_s() <= seen.eta_s < 600.0
    queue.cancel(job.id)
    assert bench.ended(job).state == "cancelled"


def test_a_studio_error_is_kept_as_it_is(bench: Bench, queue: JobQueue) -> None:
    done = bench.ended(queue.submit("bad_input", {}))
    assert done.state == "failed"
    assert done.error == {
        "code": "bad_input",
        "message": "song.wav is empty.",
        "hint": "Choose another file.",
        "where": "song.wav",
    }
    assert done.message == "song.wav is empty."


def test_a_bug_is_one_clean_sentence_and_its_traceback_is_in_the_log(bench: Bench, queue: JobQueue) -> None:
    done = bench.ended(queue.submit("bug", {}))
    shown = " ".join(done.error.values())
    assert done.state == "failed"
    assert done.error["code"] == "bug"
    assert "ValueError" in shown
    assert done.log in shown
    assert "Traceback" not in shown
    assert "only for the log" not in shown
    log = Path(done.log).read_text(encoding="utf-8")
    assert "Traceback" in log
    assert "only for the log" in log


def test_an_exit_without_a_result_names_the_code_and_the_last_words(bench: Bench, queue: JobQueue) -> None:
    done = bench.ended(queue.submit("exits", {"code": 3}))
    assert done.state == "failed"
    assert "exit code 3" in done.error["message"]
    assert "the reason, in the log" in done.error["message"]
    silent = bench.ended(queue.submit("exits", {"code": 0}))
    assert silent.state == "failed"
    assert "without a result" in silent.error["message"]


@pytest.mark.parametrize(("name", "hint"), [("SIGKILL", "memory"), ("SIGSEGV", "log")])
def test_a_killed_worker_names_the_signal(bench: Bench, queue: JobQueue, name: str, hint: str) -> None:
    done = bench.ended(queue.submit("kills_itself", {"signal": name}))
    assert done.state == "failed"
    assert name in done.error["message"]
    assert hint in done.error["hint"]
    assert "File " not in done.error["message"]


def test_results_become_strict_json(bench: Bench, queue: JobQueue) -> None:
    done = bench.ended(queue.submit("odd_result", {}))
    assert done.result == {"path": os.path.join("a", "b"), "nan": None, "pair": [1, 2]}
    wrong = bench.ended(queue.submit("not_json", {}))
    assert (wrong.state, wrong.error["code"]) == ("failed", "bug")


def test_missing_code_says_which_package(bench: Bench, queue: JobQueue) -> None:
    done = bench.ended(queue.submit("missing_package", {}))
    assert done.error["code"] == "unavailable"
    assert "a_package_that_is_not_installed" in done.error["message"]
    assert bench.ended(queue.submit("nowhere", {})).state == "failed"


def test_an_unknown_kind_or_unstorable_params_are_refused(bench: Bench, queue: JobQueue) -> None:
    with pytest.raises(BadInput, match="sleepy"):
        queue.submit("sleep", {})
    with pytest.raises(BadInput, match="cannot be stored"):
        queue.submit("sleepy", {"x": object()})
    assert bench.store.list() == []


# -- cancel


def test_cancel_of_a_queued_job_never_starts_it(bench: Bench, queue: JobQueue) -> None:
    first = queue.submit("until_told", {"touch": str(bench.root / "a"), "go": str(bench.root / "go")})
    second = queue.submit("sleepy", {"touch": str(bench.root / "b")})
    bench.file("a")
    assert queue.cancel(second.id).state == "cancelled"
    (bench.root / "go").touch()
    assert bench.ended(first).state == "completed"
    assert bench.ended(queue.submit("sleepy", {"steps": 1})).state == "completed"
    assert not (bench.root / "b").exists()


def test_cancel_of_a_running_job(bench: Bench, queue: JobQueue) -> None:
    job = queue.submit("until_told", {"touch": str(bench.root / "a"), "go": str(bench.root / "never")})
    bench.file("a")
    queue.cancel(job.id)
    done = bench.ended(job)
    assert (done.state, done.error["code"], done.result) == ("cancelled", "cancelled", None)
    bench.gone(done.pid)


def test_the_flag_in_the_database_is_enough(bench: Bench, queue: JobQueue) -> None:
    # As on Windows, where no signal reaches the worker.
    job = queue.submit("until_told", {"touch": str(bench.root / "a"), "go": str(bench.root / "never")})
    bench.file("a")
    bench.store.request_cancel(job.id)
    assert bench.ended(job).state == "cancelled"


def test_a_job_that_saves_when_stopped_keeps_its_result(bench: Bench, queue: JobQueue) -> None:
    job = queue.submit("saves_when_stopped", {"touch": str(bench.root / "a")})
    bench.file("a")
    queue.cancel(job.id)
    done = bench.ended(job)
    assert (done.state, done.result) == ("cancelled", {"stopped": True, "step": 7})


def test_cancel_that_comes_too_late_leaves_the_truth(bench: Bench, queue: JobQueue) -> None:
    # The handler is past its last check: the work is done, and saying otherwise would be a lie.
    params = {"touch": str(bench.root / "a"), "go": str(bench.root / "go"), "deaf": True}
    job = queue.submit("until_told", params)
    bench.file("a")
    queue.cancel(job.id)
    (bench.root / "go").touch()
    done = bench.ended(job)
    assert (done.state, done.result, done.cancel_requested) == ("completed", {"told": True}, True)
    assert queue.cancel(job.id).state == "completed"


def test_cancel_ends_the_whole_tree_even_if_all_of_it_is_deaf(bench: Bench, queue: JobQueue) -> None:
    job = queue.submit("deaf_with_child", {"touch": str(bench.root / "pids")})
    pids = [int(pid) for pid in bench.file("pids").read_text().split()]
    assert len(pids) == 3
    queue.cancel(job.id)
    assert bench.ended(job).state == "cancelled"
    bench.gone(*pids)


def test_children_left_behind_are_ended_with_the_job(bench: Bench, queue: JobQueue) -> None:
    done = bench.ended(queue.submit("leaves_child", {}))
    assert done.state == "completed"
    bench.gone(done.result["child"])


def test_a_worker_that_will_not_exit_does_not_block_its_lane(bench: Bench, queue: JobQueue) -> None:
    hung = bench.ended(queue.submit("hangs_at_exit", {}))
    assert hung.state == "completed"
    assert bench.ended(queue.submit("sleepy", {"steps": 1})).state == "completed"
    bench.gone(hung.result["pid"])


def test_cancel_of_nothing(queue: JobQueue) -> None:
    with pytest.raises(NotFound, match="job 99"):
        queue.cancel(99)


# -- lanes, retry


def test_a_lane_runs_one_job_at_a_time_and_lanes_run_side_by_side(bench: Bench, queue: JobQueue) -> None:
    go = str(bench.root / "go")
    one = queue.submit("until_told", {"touch": str(bench.root / "one"), "go": go})
    two = queue.submit("until_told", {"touch": str(bench.root / "two"), "go": go})
    side = queue.submit("side", {"touch": str(bench.root / "side"), "go": go})
    bench.file("one")
    bench.file("side")
    states = {job.id: bench.store.get(job.id).state for job in (one, two, side)}
    assert states == {one.id: "running", two.id: "queued", side.id: "running"}
    assert bench.store.count("running") == 2
    (bench.root / "go").touch()
    done = [bench.ended(job) for job in (one, two, side)]
    assert [job.state for job in done] == ["completed"] * 3
    assert done[1].started_at >= done[0].finished_at


def test_retry_repeats_a_finished_job_and_only_that(bench: Bench, queue: JobQueue) -> None:
    failed = bench.ended(queue.submit("exits", {"code": 3}, voice="v"))
    again = queue.retry(failed.id)
    assert (again.kind, again.params, again.voice, again.retry_of) == ("exits", {"code": 3}, "v", failed.id)
    bench.ended(again)
    running = queue.submit("until_told", {"touch": str(bench.root / "a"), "go": str(bench.root / "go")})
    bench.file("a")
    with pytest.raises(Conflict, match="still running"):
        queue.retry(running.id)


# -- disk and database


def test_a_full_disk_costs_progress_and_not_the_job(bench: Bench, queue: JobQueue) -> None:
    done = bench.ended(queue.submit("disk_full", {}))
    assert (done.state, done.result) == ("completed", {"survived": True})


def test_a_handler_out_of_disk_says_so(bench: Bench, queue: JobQueue) -> None:
    done = bench.ended(queue.submit("out_of_disk", {}))
    assert done.error["code"] == "no_space"
    assert "free" in done.error["message"]


def test_a_locked_database_delays_but_loses_nothing(bench: Bench, queue: JobQueue) -> None:
    job = queue.submit("until_told", {"touch": str(bench.root / "a"), "go": str(bench.root / "go")})
    bench.file("a")
    other = sqlite3.connect(bench.settings.database, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    (bench.root / "go").touch()
    log = bench.store.get(job.id).log
    # Its worker has given up once and said so; it tries again until the other lets go.
    bench.until(lambda: "not stored yet" in Path(log).read_text(encoding="utf-8"), "the worker to meet the lock")
    other.execute("ROLLBACK")
    other.close()
    assert bench.ended(job).state == "completed"


# -- closing, opening, recovery


def test_a_job_outlives_the_studio_and_its_end_is_seen_by_the_next(bench: Bench) -> None:
    first = bench.queue()
    first.start()
    job = first.submit("until_told", {"touch": str(bench.root / "a"), "go": str(bench.root / "go")})
    bench.file("a")
    first.stop()
    pid = bench.store.get(job.id).pid
    assert processes.is_alive(pid, bench.store.get(job.id).pid_started)
    second = bench.queue()
    assert second.start() == []
    assert bench.store.get(job.id).state == "running"
    (bench.root / "go").touch()
    assert bench.ended(job).state == "completed"


def test_a_job_of_an_earlier_studio_can_be_cancelled_and_its_crash_is_noticed(bench: Bench) -> None:
    first = bench.queue()
    first.start()
    cancelled = first.submit("until_told", {"touch": str(bench.root / "a"), "go": str(bench.root / "never")})
    crashed = first.submit("side", {"touch": str(bench.root / "b"), "go": str(bench.root / "never")})
    bench.file("a")
    bench.file("b")
    first.stop()
    second = bench.queue()
    second.start()
    second.cancel(cancelled.id)
    os.kill(bench.store.get(crashed.id).pid, signal.SIGKILL)
    assert bench.ended(cancelled).state == "cancelled"
    assert bench.ended(crashed).state == "failed"


def test_a_job_whose_worker_died_with_the_studio_is_interrupted(bench: Bench) -> None:
    first = bench.queue()
    first.start()
    job = first.submit("until_told", {"touch": str(bench.root / "a"), "go": str(bench.root / "never")})
    queued = first.submit("sleepy", {"steps": 1})
    pid = int(bench.file("a").read_text())
    first.stop()
    os.kill(pid, signal.SIGKILL)
    bench.gone(pid)
    second = bench.queue()
    interrupted = second.start()
    assert [one.id for one in interrupted] == [job.id]
    assert interrupted[0].state == "interrupted"
    assert interrupted[0].error["hint"]
    assert bench.ended(queued).state == "completed"
    assert second.retry(job.id).retry_of == job.id


def test_a_process_with_the_same_number_is_not_taken_for_the_worker(bench: Bench) -> None:
    store = bench.store
    job = store.add("sleepy", {}, lane="work")
    assert store.claim("work").id == job.id
    pid, started = processes.identity()
    assert store.attach(job.id, pid, started + 5.0)
    assert [one.id for one in bench.queue().start()] == [job.id]
    assert store.get(job.id).state == "interrupted"


def test_nor_is_one_that_also_started_at_the_same_time(bench: Bench) -> None:
    # After a restart of the machine both may come again; this process carries no mark of the job.
    store = bench.store
    job = store.add("sleepy", {}, lane="work")
    store.claim("work")
    store.attach(job.id, *processes.identity())
    assert [one.id for one in bench.queue().start()] == [job.id]


def test_a_second_studio_on_the_workspace_is_told_where_the_first_is(bench: Bench, queue: JobQueue) -> None:
    second = bench.queue()
    with pytest.raises(Conflict) as err:
        second.start("http://127.0.0.1:7861")
    assert "http://127.0.0.1:7860" in err.value.message
    assert str(os.getpid()) in err.value.message
    assert err.value.hint
    # It still reads and submits, and the first one does the work.
    assert bench.ended(second.submit("sleepy", {"steps": 1})).state == "completed"
    queue.announce("http://127.0.0.1:7999")
    with pytest.raises(Conflict, match="7999"):
        second.start()
    queue.stop()
    assert second.start() == []


STUDIO = """
import sys, time
from pathlib import Path
from core.jobs.handlers import Handler
from core.settings import Settings
from core.studio import Studio
root = Path(sys.argv[1])
kinds = {"until_told": Handler("sample_handlers:until_told", "work")}
studio = Studio(Settings(workspace=Path(sys.argv[2])), kinds)
studio.start("http://127.0.0.1:7860")
studio._jobs.submit("until_told", {"touch": str(root / "a"), "go": str(root / "go")})
time.sleep(600)
"""


def test_a_job_outlives_even_a_studio_that_is_killed(bench: Bench) -> None:
    command = [sys.executable, "-c", STUDIO, str(bench.root), str(bench.settings.workspace)]
    child = subprocess.Popen(command, cwd=REPO_ROOT, start_new_session=True)
    bench.file("a")
    (job,) = bench.store.list()
    with pytest.raises(Conflict, match="7860"):
        bench.queue().start()
    os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    assert bench.queue().start() == []
    assert bench.store.get(job.id).state == "running"
    (bench.root / "go").touch()
    assert bench.ended(job).state == "completed"


def test_a_job_that_no_worker_had_begun_waits_again(bench: Bench) -> None:
    """A studio killed between taking a job and starting its worker has done nothing of it: nothing is lost."""
    dead = bench.queue()
    job = dead.submit("sleepy", {"steps": 1})
    stopped = dead.submit("sleepy", {"steps": 1})
    assert bench.store.claim("work").id == job.id
    living = bench.queue()
    assert living.recover() == []
    assert bench.store.get(job.id).state == "queued"
    assert bench.store.claim("work").id == job.id
    bench.store.request_cancel(job.id)
    assert [one.id for one in living.recover()] == [job.id], "asked to stop, it is not begun again"
    living.start()
    assert bench.ended(stopped).state == "completed"
