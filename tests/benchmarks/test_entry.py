"""`python -m benchmarks`: what there is, and that a figure never stands without where it came from."""

import subprocess
import sys

from benchmarks.__main__ import about, names, page
from benchmarks.evidence.report import losses_over_steps, markdown
from core.paths import REPO_ROOT


def test_help_names_every_benchmark() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--help"], cwd=REPO_ROOT, capture_output=True, text=True, check=True
    )
    assert {"svc", "evidence", "prep", "features", "startup"} <= set(names())
    assert all(name in done.stdout for name in names())


def test_an_unknown_name_is_refused() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "nothing"], cwd=REPO_ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "nothing" in done.stderr


def test_a_page_says_where_when_and_of_which_commit() -> None:
    text = page("svc", about(["svc", "--repeats", "3"]), {"rtf": 0.5}, None)
    assert "commit" in text
    assert "python -m benchmarks svc --repeats 3" in text
    assert '"rtf": 0.5' in text


def test_losses_keep_the_first_and_the_last_step_that_has_any() -> None:
    metrics = [{"step": step, "loss/g/total": 1.0} for step in range(20, 1020, 20)]
    picked = losses_over_steps([*metrics, {"step": 1001, "probe/mel_distance": 0.3}], rows=5)
    assert picked[0]["step"] == 20
    assert picked[-1]["step"] == 1000
    assert len(picked) <= 6


def test_the_report_shows_the_figures_it_is_given() -> None:
    row = {
        "clips": 40,
        "closer_to_target": 39,
        "similarity_to_target": 0.8123,
        "similarity_to_source": 0.55,
        "f0_correlation": 0.97,
        "transpose_semitones": 6.0,
    }
    figures = {
        "card": {"preset": "lite", "step": 5000, "clips": 348, "minutes": 19.3},
        "run": {"train_minutes": 61.0, "seconds_per_step": 0.7, "peak_gib": 1.9},
        "losses": [{"step": 20, "loss/g/total": 9.0}],
        "italian": row,
        "piper_english": {**row, "wer_source": 0.1, "wer_converted": 0.25},
    }
    text = markdown(figures)
    assert "39 of 40" in text
    assert "0.812" in text
    assert "25.0 %" in text
