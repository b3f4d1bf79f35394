"""Who trains a run: not fooled by reused numbers, set clocks, restarts, or another machine."""

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from core.errors import Conflict
from core.jobs import processes
from core.training import alive
from core.training.alive import Heartbeat, RunLock, boot_id, host, own_process, process_alive
from core.training.runs import RunInfo, create_run, is_going, list_runs


def running(**more: object) -> RunInfo:
    pid, started = own_process()
    known = {"pid": pid, "pid_started": started, "host": host(), "boot_id": boot_id(), "state": "running"}
    return RunInfo("r", "v", "lite", "builtin", **{**known, **more})  # type: ignore[arg-type]


def test_a_living_process_is_believed_and_a_reused_number_is_not(tmp_path: Path) -> None:
    _, started = own_process()
    assert is_going(tmp_path, running())
    assert not is_going(tmp_path, running(pid_started=started - 100))
    assert not is_going(tmp_path, running(pid=2**22 + 1))
    assert not is_going(tmp_path, running(state="stopped"))


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the system keeps unix seconds")
def test_a_clock_that_jumps_does_not_end_a_run(tmp_path: Path) -> None:
    """Setting the clock moves every unix start time; what is noted counts from the boot."""
    pid, started = own_process()
    assert started < 1e8
    assert started == pytest.approx(processes.started_at(pid), abs=0.02)
    assert time.clock_gettime(time.CLOCK_BOOTTIME) > started


def test_a_run_noted_by_the_first_version_is_believed() -> None:
    process = psutil.Process()
    assert process_alive(process.pid, process.create_time())
    assert not process_alive(process.pid, process.create_time() - 100)


def test_after_a_restart_of_the_machine_the_run_is_interrupted(tmp_path: Path) -> None:
    if not boot_id():
        pytest.skip("this system does not tell its boots apart")
    run = create_run(tmp_path, "r", "v", "lite")
    run.write(running(boot_id="of yesterday", paused="full"))
    found = list_runs(tmp_path)[0]
    assert (found.state, found.paused) == ("interrupted", None)


def test_a_run_on_another_machine_lives_by_its_heartbeat(tmp_path: Path) -> None:
    far = running(host="node7", pid=2**22 + 1)
    assert not is_going(tmp_path, far)
    with Heartbeat(tmp_path, every_s=0.02):
        os.utime(tmp_path / "heartbeat", (1.0, 1.0))
        deadline = time.monotonic() + 10
        while not is_going(tmp_path, far) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert is_going(tmp_path, far)
    os.utime(tmp_path / "heartbeat", (1.0, 1.0))
    assert not is_going(tmp_path, far)
    (tmp_path / "heartbeat").touch()
    os.utime(tmp_path / "heartbeat", (time.time() + 9e5, time.time() + 9e5))  # its clock is ahead of ours
    assert is_going(tmp_path, far)


def test_one_process_at_a_time_and_a_killed_one_lets_go(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from core.training.alive import RunLock\n"
        "with RunLock(Path(sys.argv[1])):\n  print('in', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"in\n"
        with pytest.raises(Conflict, match="another process"), RunLock(tmp_path):
            pass
        other.kill()
        other.wait()
        with RunLock(tmp_path):
            pass


def test_a_heartbeat_survives_a_deleted_folder(tmp_path: Path) -> None:
    folder = tmp_path / "r"
    folder.mkdir()
    with Heartbeat(folder, every_s=0.01):
        (folder / alive.HEARTBEAT_FILE).unlink()
        folder.rmdir()
        time.sleep(0.05)
        folder.mkdir()
        deadline = time.monotonic() + 10
        while alive.heartbeat_age_s(folder) is None and time.monotonic() < deadline:
            time.sleep(0.01)
        assert alive.heartbeat_age_s(folder) is not None
