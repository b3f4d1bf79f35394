"""Runs as the page and the command line see them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from core.errors import BadInput, ModelFileError, NotFound
from core.training.options import parse_options
from core.training.runs import RunInfo, create_run, list_runs, open_run, own_process


def info_of(name: str, **more: object) -> RunInfo:
    return RunInfo(name, "歌手", "lite", "builtin", **more)  # type: ignore[arg-type]


def test_round_trip_with_a_unicode_name(workspace: Path) -> None:
    run = create_run(workspace / "logs", None, "歌手", "lite")
    assert run.name.startswith("歌手-lite-")
    run.write(info_of(run.name, steps=10, best_value=0.5, notes=["x"]))
    back = open_run(workspace / "logs", run.name).read()
    assert (back.steps, back.best_value, back.notes) == (10, 0.5, ["x"])


def test_a_taken_name_gets_a_number(tmp_path: Path) -> None:
    first, second = (create_run(tmp_path, "my run", "v", "lite") for _ in range(2))
    assert first.path != second.path


def test_running_is_believed_only_of_a_living_process(tmp_path: Path) -> None:
    pid, started = own_process()
    alive, dead, reused, done = (create_run(tmp_path, n, "v", "lite") for n in ("alive", "dead", "reused", "done"))
    alive.write(info_of("alive", state="running", pid=pid, pid_started=started))
    dead.write(info_of("dead", state="running", pid=2**22 + 1, pid_started=1.0))
    reused.write(info_of("reused", state="running", pid=pid, pid_started=started - 1000))
    done.write(info_of("done", state="completed"))
    states = {i.name: i.state for i in list_runs(tmp_path)}
    assert states == {"alive": "running", "dead": "interrupted", "reused": "interrupted", "done": "completed"}
    assert list_runs(tmp_path, voice="other") == []
    assert list_runs(tmp_path / "nowhere") == []


def test_one_unreadable_run_does_not_hide_the_others(tmp_path: Path) -> None:
    create_run(tmp_path, "good", "v", "lite").write(info_of("good"))
    bad = create_run(tmp_path, "bad", "v", "lite")
    (bad.path / "run.json").write_text("{")
    assert [i.name for i in list_runs(tmp_path)] == ["good"]
    with pytest.raises(ModelFileError):
        bad.read()


def test_metrics_survive_a_torn_line_and_a_repeated_step(tmp_path: Path) -> None:
    run = create_run(tmp_path, "r", "v", "lite")
    rows = [
        {"step": 1, "loss/g/total": 3.0},
        {"step": 2, "loss/g/total": 2.0},
        {"step": 2, "loss/g/total": 2.5},
        {"step": 2, "probe/mel_distance": 1.0},
    ]
    text = "".join(json.dumps(r) + "\n" for r in rows) + '{"step": 3, "lo'
    (run.path / "metrics.jsonl").write_text(text)
    assert run.metrics() == [rows[0], {"step": 2, "loss/g/total": 2.5, "probe/mel_distance": 1.0}]
    assert [r["step"] for r in run.metrics(since_step=1)] == [2]
    assert create_run(tmp_path, "new", "v", "lite").metrics() == []


@pytest.mark.parametrize("name", ["../outside", "missing", "/etc"])
def test_only_runs_are_opened(tmp_path: Path, name: str) -> None:
    (tmp_path / "logs").mkdir()
    with pytest.raises((NotFound, BadInput)):
        open_run(tmp_path / "logs", name)


def test_wrong_options_are_all_named() -> None:
    with pytest.raises(BadInput) as caught:
        parse_options({"voice": "v", "stepps": 3, "batch_size": -1})
    assert "stepps" in caught.value.message
    assert "batch_size" in caught.value.message


def test_the_page_can_list_runs_without_torch(repo_root: Path) -> None:
    names = "core.training.runs, core.training.options, core.engines.sovits.preflight"
    code = f"import sys, {names}; sys.exit('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=repo_root, env={**os.environ}, check=False)
    assert done.returncode == 0
