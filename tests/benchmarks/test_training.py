"""The page of the training benchmark has a row for everything, also for what failed or had no GPU."""

from pathlib import Path
from typing import Any

import pytest

from benchmarks.training import _made_up, markdown
from core.engines.sovits.clips import Clip
from core.engines.sovits.dataset import TrainingSet
from core.engines.sovits.recipe import SegmentPlan

ROW: dict[str, Any] = {
    "preset": "lite", "device": "cuda:0", "threads": 8, "precision": "bf16", "batch_size": 16, "steps_per_s": 9.5,
    "clips_per_s": 152.0, "last_step_cpu_s": 0.11, "batches_read_per_s": 250.0, "waiting_for_data": 0.034,
    "peak_gib": 4.2, "gpu_busy": 0.93,
}  # fmt: skip


def cells(page: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in page.splitlines() if line[:2] == "| "]


@pytest.mark.parametrize(
    ("row", "last"),
    [
        (ROW, "93%"),
        ({**ROW, "gpu_busy": None}, "–"),
        ({"preset": "x", "precision": "fp16", "batch_size": 1, "error": "no memory"}, ""),
    ],
)
def test_every_row_is_as_wide_as_the_head(row: dict[str, Any], last: str) -> None:
    head, line = cells(markdown({"rows": [row]}))
    assert len(line) == len(head)
    assert line[-1] == last
    assert ("250.0" in line) == ("error" not in row)


def test_figures_stand_where_their_heads_say() -> None:
    head, line = cells(markdown({"rows": [ROW]}))
    told = dict(zip(head, line, strict=True))
    assert told["device"] == "cuda:0, 8 threads"
    assert (told["steps/s"], told["waits"], told["peak"]) == ("9.5", "3.4%", "4.2 GiB")


def test_no_rows_no_harm() -> None:
    assert len(cells(markdown({"rows": []}))) == 1


def test_its_clips_are_such_as_training_takes(tmp_path: Path) -> None:
    examples = _made_up(tmp_path, 8)
    clip = Clip(examples[0], "nearest")
    assert clip.n_frames == examples[0].n_frames
    batch = TrainingSet(examples, SegmentPlan(790, fixed=False, longer_than=800), 4, 1).batch(0, 0)
    lengths = batch.lengths.tolist()
    spread = max(e.n_frames for e in examples) - min(e.n_frames for e in examples)
    assert max(lengths) - min(lengths) < spread  # buckets: clips of like length together
