"""The GPU's load is sampled beside the training and handed over as a mean; a CPU has none."""

import time
from pathlib import Path

import pytest

from core import device
from core.training.gpu_use import GpuUse


@pytest.fixture
def smi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program named nvidia-smi that says what lies in a file."""
    said = tmp_path / "said"
    program = tmp_path / "nvidia-smi"
    program.write_text(f"#!/bin/sh\ncat {said}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(device, "_SMI_KEEP_S", 0.0)
    said.write_text("0, GPU-a, One, 1000, 500, 40\n1, GPU-b, Two, 1000, 500, 90\n")
    return said


def wait_for(use: GpuUse) -> float:
    for _ in range(1000):
        if (percent := use.percent()) is not None:
            return percent
        time.sleep(0.01)
    pytest.fail("nothing was sampled")


def test_the_mean_load_of_the_one_that_trains(smi: Path) -> None:
    with GpuUse("cuda:1", every_s=0.001) as use:
        assert wait_for(use) == pytest.approx(90)
    assert use._thread is not None
    assert not use._thread.is_alive()


def test_a_gpu_that_does_not_say_has_no_load(smi: Path) -> None:
    smi.write_text("0, GPU-a, One, 1000, 500, [N/A]\n")
    with GpuUse("cuda:0", every_s=0.001) as use:
        time.sleep(0.2)
        assert use.percent() is None


def test_a_cpu_is_not_asked(smi: Path) -> None:
    with GpuUse("cpu", every_s=0.001) as use:
        assert use._thread is None
        assert use.percent() is None
