"""Devices: nvidia-smi's words, visible GPUs, a GPU that is asked for and not there."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import device
from core.errors import Unavailable
from core.paths import REPO_ROOT

TWO = "0, GPU-aaa1, NVIDIA GeForce RTX 3060, 12288, 11000, 7\n1, GPU-bbb2, NVIDIA H100 80GB HBM3, 81559, 80000, [N/A]\n"


def test_smi_lines() -> None:
    first, second = device.parse_smi(TWO, None)
    assert (first.name, first.kind, first.total_bytes) == ("NVIDIA GeForce RTX 3060", "cuda", 12288 * 1024**2)
    assert first.utilisation == pytest.approx(0.07)
    assert second.utilisation is None


@pytest.mark.parametrize(
    ("visible", "names"),
    [
        (None, ["3060", "H100"]),
        ("", []),
        ("1", ["H100"]),
        ("1,0", ["H100", "3060"]),
        ("0,7,1", ["3060"]),
        ("GPU-bbb", ["H100"]),
        ("GPU-", []),
        ("-1", []),
    ],
)
def test_visible_gpus_as_cuda_counts_them(visible: str | None, names: list[str]) -> None:
    found = device.parse_smi(TWO, visible)
    assert len(found) == len(names)
    assert all(name in gpu.name for name, gpu in zip(names, found, strict=True))


@given(st.text(max_size=200), st.none() | st.text("01,- GPU", max_size=20))
def test_any_answer_of_the_driver_is_survived(text: str, visible: str | None) -> None:
    device.parse_smi(text, visible)


def fake_smi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(device, "_smi_seen", None)


@pytest.mark.skipif(os.name == "nt", reason="a shell script")
def test_info_follows_the_setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_smi(tmp_path, monkeypatch, f"cat <<EOF\n{TWO}EOF")
    assert "3060" in device.info("auto").name
    assert "H100" in device.info("cuda:1").name
    assert device.info("cpu").kind == "cpu"
    assert device.info("cuda:5").kind == "cpu"


@pytest.mark.skipif(os.name == "nt", reason="a shell script")
@pytest.mark.parametrize("script", ["exit 9", "echo 'Failed to initialize NVML: Driver/library version mismatch'"])
def test_a_broken_driver_means_no_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    fake_smi(tmp_path, monkeypatch, script)
    assert device.gpu_list() == []
    assert device.info().kind == "cpu"


def test_info_of_the_cpu() -> None:
    found = device.info("cpu")
    assert found.name
    assert 0 < found.free_bytes <= found.total_bytes
    assert found.utilisation is not None
    assert 0.0 <= found.utilisation <= 1.0


def test_info_does_not_import_torch() -> None:
    code = "import sys; from core import device; device.info(); device.disk('.'); print('torch' in sys.modules)"
    answer = subprocess.run([sys.executable, "-c", code], cwd=REPO_ROOT, capture_output=True, text=True, timeout=120)
    assert answer.stdout.strip() == "False", answer.stderr


def test_disk_of_a_place_that_is_not_there_yet(tmp_path: Path) -> None:
    assert device.disk(tmp_path / "a" / "b").free_bytes > 0


def test_pick() -> None:
    import torch

    assert device.pick("cpu") == "cpu"
    n_gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    assert device.pick("auto") == ("cuda:0" if n_gpus else "cpu")
    with pytest.raises(Unavailable, match="cuda:64") as err:
        device.pick("cuda:64")
    assert "cpu" in err.value.hint


def test_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert device.threads(3) == 3
    assert device.threads(0) == 1
    for odd in ("", "0", "many", "9999", "²"):
        monkeypatch.setenv("OMP_NUM_THREADS", odd)
        assert 1 <= device.threads(0) <= device.cpu_count()
