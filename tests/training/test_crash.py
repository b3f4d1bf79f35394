"""The crash benchmark itself: a few trials of each kind survive, and a defect would be seen."""

import json
import shutil
import sys
from pathlib import Path

import pytest

from benchmarks import crash
from benchmarks.crash.judge import Before, Verdict, judge_resume
from benchmarks.crash.report import markdown
from core.training.runs import Run, RunInfo


@pytest.mark.skipif(sys.platform != "linux" or not shutil.which("cc"), reason="needs Linux and a C compiler")
def test_a_training_killed_at_a_write_ends_with_the_same_bits(tmp_path: Path) -> None:
    figures = crash.run(["--trials", "4", "--place", str(tmp_path)])
    assert figures["survived"] == figures["trials"] >= 4, figures["failures"]
    assert figures["most_steps_lost"] <= 2
    assert figures["writes_of_a_run"]["all"] > 200
    assert "trials survived.**" in markdown(figures)


@pytest.mark.parametrize(
    ("session", "notes", "problem"),
    [
        ({"from_step": 0}, [], "began anew in silence"),
        ({"from_step": 2}, [], "the newest whole checkpoint was 4"),
        ({"from_step": 4}, [], "said nothing about the damaged step_6"),
    ],
)
def test_what_would_be_held_against_a_run(tmp_path: Path, session: dict, notes: list[str], problem: str) -> None:
    info = RunInfo("run", "v", "lite", "builtin", sessions=[{"from_step": 0}, session], notes=notes)
    workspace = tmp_path
    (workspace / "logs" / "run").mkdir(parents=True)
    Run(workspace / "logs" / "run").write(info)
    verdict = Verdict()
    judge_resume(workspace, Before(step=5, newest_whole=4, damaged=["step_6"], sessions=1), verdict)
    assert any(problem in found for found in verdict.problems)
    json.dumps(verdict.problems)
