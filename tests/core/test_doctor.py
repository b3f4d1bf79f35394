"""The doctor: broken libraries, protected folders, taken ports are lines of a list, never a crash."""

import os
import socket
import sys
import threading
from pathlib import Path

import pytest

from core import doctor
from core.checks import Check, worst
from core.jobs.lock import WorkspaceLock
from core.settings import Settings, load_settings


@pytest.fixture
def settings(workspace: Path) -> Settings:
    return Settings(workspace=workspace, device="cpu")


def package(folder: Path, name: str, code: str) -> None:
    (folder / f"{name}.py").write_text(code)


def test_broken_libraries_are_named_and_the_others_are_still_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package(tmp_path, "good_one", "__version__ = '1.2'")
    package(tmp_path, "raises", "raise OSError('libcuda.so is missing')")
    package(tmp_path, "crashes", "import os; os.abort()")
    package(tmp_path, "exits", "import sys; sys.exit(3)")
    package(tmp_path, "talks", "print('{\"hello\": 1}\\n[1, 2]\\nnull')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    found = doctor.probe_imports(["raises", "crashes", "good_one", "exits", "talks", "not_there_at_all"])
    assert found["good_one"] == {"version": "1.2"}
    assert "libcuda.so" in found["raises"]["error"]
    assert "exit code" in found["crashes"]["error"]
    assert "SystemExit" in found["exits"]["error"]
    assert found["talks"] == {"version": ""}
    assert "ModuleNotFoundError" in found["not_there_at_all"]["error"]


def test_a_library_that_hangs_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package(tmp_path, "hangs", "import time; print('loading', flush=True); time.sleep(600)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    found = doctor.probe_imports(["hangs", "json"], timeout_s=1.5)
    assert "longer than" in found["hangs"]["error"]
    assert "json" in found


def test_torch_that_does_not_load_is_a_line_with_a_fix() -> None:
    line = doctor.check_torch({"error": "OSError: libcudart.so.13"})
    assert (line.verdict, "libcudart" in line.detail, bool(line.fix)) == ("fail", True, True)
    assert doctor.check_torch({"version": "2.14.1", "cuda": "13.0", "gpus": 0}).detail == "2.14.1 (CUDA 13.0)"
    assert doctor.check_torchaudio({}).verdict == "fail"


def test_pitch_is_fatal_only_without_the_default() -> None:
    fine = {name: {"version": "1"} for name in ("torchfcpe", "torchcrepe", "pyworld", "parselmouth")}
    assert doctor.check_pitch(fine).verdict == "ok"
    line = doctor.check_pitch({**fine, "pyworld": {"error": "no pkg_resources"}})
    assert line.verdict == "warn"
    assert "harvest and dio (pyworld: no pkg_resources)" in line.detail
    assert doctor.check_pitch({**fine, "torchfcpe": {"error": "x"}}).verdict == "fail"
    assert doctor.check_pitch({}).verdict == "fail"


def test_a_gpu_that_torch_cannot_use(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    from core import device

    gpu = device.DeviceInfo("RTX 3060", "cuda", 12 << 30, 11 << 30, 0.0)
    monkeypatch.setattr(device, "gpu_list", lambda: [gpu])
    auto = settings.model_copy(update={"device": "auto"})
    named = settings.model_copy(update={"device": "cuda:0"})
    assert doctor.check_gpu(auto, {"cuda": "", "gpus": 0}).verdict == "warn"
    assert "without CUDA" in doctor.check_gpu(auto, {"cuda": "", "gpus": 0}).detail
    assert doctor.check_gpu(named, {"cuda": "13.0", "gpus": 0}).verdict == "fail"
    assert doctor.check_gpu(auto, {"cuda": "13.0", "gpus": 1}).verdict == "ok"
    monkeypatch.setattr(device, "gpu_list", list)
    assert doctor.check_gpu(auto, {"gpus": 0}).verdict == "ok"
    assert doctor.check_gpu(named, {"gpus": 0}).verdict == "fail"


def test_a_workspace_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    line = doctor.check_workspace(Settings(workspace=tmp_path / "file" / "w"))
    assert line.verdict == "fail"
    assert str(tmp_path / "file" / "w") in line.detail
    assert line.fix


def test_a_good_workspace_is_left_as_it_was(settings: Settings) -> None:
    assert doctor.check_workspace(settings).verdict == "ok"
    assert os.listdir(settings.workspace) == []


def test_settings_that_differ_are_listed_with_their_source() -> None:
    settings = load_settings({"threads": 3}, {"TIMBRE_TOKEN": "s3cret"})
    line = doctor.check_settings(settings)
    assert "threads = 3 (command line)" in line.detail
    assert "s3cret" not in line.detail


def test_the_port_is_free_taken_or_ours(settings: Settings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        taken = settings.model_copy(update={"port": port})
        line = doctor.check_port(taken)
        assert (line.verdict, "next free port" in line.fix) == ("warn", True)
        lock = WorkspaceLock(settings.workspace / "studio.lock")
        lock.acquire(f"http://127.0.0.1:{port}")
        assert doctor.check_port(taken).verdict == "ok"
        lock.release()
    assert doctor.check_port(taken).verdict == "ok"


def test_encoders(tmp_path: Path, settings: Settings) -> None:
    bare = settings.model_copy(update={"pretrain_dir": tmp_path / "pretrain"})
    assert doctor.check_contentvec(bare).verdict == "ok"  # optional
    folder = tmp_path / "pretrain" / "contentvec"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    half = doctor.check_contentvec(bare)
    assert half.verdict == "warn"
    assert "pytorch_model.bin" in half.detail
    assert half.fix


def test_the_whole_list(settings: Settings) -> None:
    answers: list[list[Check]] = []
    thread = threading.Thread(target=lambda: answers.append(doctor.doctor(settings)))  # as the page would
    thread.start()
    thread.join()
    checks = answers[0]
    names = [check.name for check in checks]
    assert len(set(names)) == len(names)
    assert {"python", "torch", "torchaudio", "device", "pitch", "workspace", "disk", "memory", "port"} <= set(names)
    assert {"builtin encoder", "contentvec", "packages", "settings"} <= set(names)
    assert all(check.fix for check in checks if check.verdict != "ok")
    assert all(check.detail for check in checks)
    by_name = {check.name: check for check in checks}
    assert by_name["torch"].verdict == "ok", by_name["torch"]
    assert sys.version.split()[0] in by_name["python"].detail


def test_the_worst_verdict_counts() -> None:
    ok, warn, fail = (Check("n", verdict, "d") for verdict in ("ok", "warn", "fail"))
    assert [worst([]), worst([ok]), worst([ok, warn]), worst([fail, ok])] == ["ok", "ok", "warn", "fail"]
    assert ok.to_dict() == {"name": "n", "verdict": "ok", "detail": "d", "fix": ""}
