"""The training benchmark: a page of what was measured, and of what did not run."""

from pathlib import Path

from benchmarks.training import _made_up, markdown
from core.engines.sovits.dataset import Clip, TrainingSet
from core.engines.sovits.recipe import SegmentPlan


def test_the_page_shows_figures_and_failures() -> None:
    row = {
        "preset": "lite",
        "device": "CPU",
        "threads": 1,
        "precision": "fp32",
        "batch_size": 10,
        "steps_per_s": 0.8,
        "clips_per_s": 8.0,
        "last_step_cpu_s": 1.2,
        "batches_read_per_s": 250.0,
        "waiting_for_data": 0.004,
        "peak_gib": 1.15,
        "gpu_busy": None,
    }
    failed = {"preset": "standard", "precision": "auto", "batch_size": 0, "error": "exit code -9: killed"}
    text = markdown({"rows": [row, {**row, "gpu_busy": 0.93}, failed]})
    assert "| 0.8 | 8.0 | 1.2 | 250.0 | 0.4% | 1.15 GiB | – |" in text
    assert "93%" in text
    assert "exit code -9" in text


def test_its_clips_are_such_as_training_takes(tmp_path: Path) -> None:
    examples = _made_up(tmp_path, 8)
    clip = Clip(examples[0], "nearest")
    assert clip.n_frames == examples[0].n_frames
    batch = TrainingSet(examples, SegmentPlan(790, fixed=False, longer_than=800), 4, 1).batch(0, 0)
    lengths = batch.lengths.tolist()
    spread = max(e.n_frames for e in examples) - min(e.n_frames for e in examples)
    assert max(lengths) - min(lengths) < spread  # buckets: clips of like length together
