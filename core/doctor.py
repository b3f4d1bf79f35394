"""Is this machine ready? Each answer says how it stands and what to do; nothing here can crash or hang."""

import importlib.util
import json
import os
import platform
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psutil

from core import atomic, device
from core.checks import Check
from core.errors import StudioError, human_bytes
from core.jobs.lock import WorkspaceLock
from core.models import catalogue
from core.paths import REPO_ROOT
from core.settings import Settings

_IMPORT_TIMEOUT_S = 180.0  # the first import of torch from a cold, slow disk takes a minute
_GIB = 1024**3
_RUN_AGAIN = "Run ./launch.sh (launch.bat on Windows) again so that it repairs the installation."
# Package -> what fails without it.
_NEEDED = {
    "av": "decoding",
    "soundfile": "writing audio",
    "soxr": "resampling",
    "pyloudnorm": "loudness",
    "silero_vad": "finding speech",
    "safetensors": "weights",
    "tensorboard": "training curves",
    "fastapi": "the server",
    "gradio": "the page",
}
_PITCH = {"torchfcpe": "fcpe", "torchcrepe": "crepe", "pyworld": "harvest and dio", "parselmouth": "pm"}
# Runs in a child: a library that crashes or hangs while loading must not take the doctor with it.
_PROBE = """
import importlib, json, sys
for name in sys.argv[1:]:
    try:
        module = importlib.import_module(name)
        answer = {"version": str(getattr(module, "__version__", ""))}
        if name == "torch":
            answer["cuda"] = module.version.cuda or ""
            answer["gpus"] = module.cuda.device_count() if module.cuda.is_available() else 0
    except BaseException as err:
        answer = {"error": f"{type(err).__name__}: {err}"[:300]}
    print(json.dumps({"name": name, **answer}), flush=True)
"""


def doctor(settings: Settings) -> list[Check]:
    """All checks, in the order of a list for people. Takes as long as importing torch in a child."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        probing = pool.submit(probe_imports, ["torch", "torchaudio", *_PITCH])
        quick = [check_python(), check_settings(settings), check_workspace(settings), check_disk(settings)]
        quick += [check_memory(), check_packages(), check_encoder(settings), check_contentvec(settings)]
        quick += [check_port(settings)]
        found = probing.result()
    slow = [check_torch(found["torch"]), check_torchaudio(found["torchaudio"])]
    slow += [check_gpu(settings, found["torch"]), check_pitch(found)]
    return [quick[0], *slow, *quick[1:]]


def probe_imports(names: list[str], timeout_s: float = _IMPORT_TIMEOUT_S) -> dict[str, dict[str, Any]]:
    """Import packages in a child process: name -> {"version", ...} or {"error"}, for every name. Never raises.

    One that crashes or hangs the child is named; those behind it are tried in another child.
    """
    answers: dict[str, dict[str, Any]] = {}
    deadline = time.monotonic() + timeout_s
    while rest := [name for name in names if name not in answers]:
        text, ended = _import_in_child(rest, max(1.0, deadline - time.monotonic()))
        for line in text.splitlines():
            try:
                answer = json.loads(line)
                answers[answer.pop("name")] = answer
            except (ValueError, AttributeError, KeyError, TypeError):  # a library's own words on stdout
                continue
        guilty = next((name for name in rest if name not in answers), None)
        if guilty is not None:
            answers[guilty] = {"error": ended}
        if time.monotonic() > deadline:
            for name in names:
                answers.setdefault(name, {"error": "not tried: there was no time left"})
    return answers


def _import_in_child(names: list[str], timeout_s: float) -> tuple[str, str]:
    """What the child printed, and how it ended in words."""
    try:
        child = subprocess.run(
            [sys.executable, "-c", _PROBE, *names],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_s,
            cwd=REPO_ROOT,
            stdin=subprocess.DEVNULL,
        )
        return child.stdout, f"loading it ended Python with exit code {child.returncode}"
    except subprocess.TimeoutExpired as err:
        out = err.stdout or b""
        text = out.decode("utf-8", "replace") if isinstance(out, bytes) else out
        return text, f"loading it took longer than {timeout_s:.0f} s"
    except OSError as err:
        return "", f"Python could not be started ({err.strerror})"


def check_python() -> Check:
    """Python's version. Older ones than we need never get here: the launcher refuses them."""
    version = platform.python_version()
    return Check("python", "ok", f"{version} on {platform.system()} {platform.machine()}, {device.cpu_name()}")


def check_torch(found: dict[str, Any]) -> Check:
    """Whether torch loads."""
    if "error" in found or not found:
        return Check("torch", "fail", f"does not load: {found.get('error', 'no answer')}", _RUN_AGAIN)
    build = f"CUDA {found['cuda']}" if found.get("cuda") else "CPU only"
    return Check("torch", "ok", f"{found['version']} ({build})")


def check_torchaudio(found: dict[str, Any]) -> Check:
    """Whether torchaudio loads beside torch."""
    if "error" in found or not found:
        return Check("torchaudio", "fail", f"does not load: {found.get('error', 'no answer')}", _RUN_AGAIN)
    return Check("torchaudio", "ok", str(found["version"]))


def check_gpu(settings: Settings, torch_found: dict[str, Any]) -> Check:
    """Which device jobs would use, and whether driver and torch agree."""
    gpus = device.gpu_list()
    n_usable = int(torch_found.get("gpus") or 0)
    if settings.device == "cpu":
        return Check("device", "ok", f"CPU (as set), {device.threads(settings.threads)} threads")
    if n_usable:
        listed = "; ".join(
            f"{gpu.name}, {human_bytes(gpu.free_bytes)} of {human_bytes(gpu.total_bytes)} free" for gpu in gpus
        )
        return Check("device", "ok", listed or f"{n_usable} CUDA device(s)")
    if gpus:
        why = "torch is a build without CUDA" if not torch_found.get("cuda") else "torch cannot use it"
        fix = "Update the NVIDIA driver; then delete .venv and run the launcher again."
        return Check("device", "fail" if settings.device != "auto" else "warn", f"{gpus[0].name}: {why}", fix)
    if settings.device != "auto":
        return Check("device", "fail", f"{settings.device} is set, but there is no NVIDIA GPU", "Set device to auto.")
    n_threads = device.threads(settings.threads)
    return Check("device", "ok", f"CPU, {n_threads} threads; no NVIDIA GPU (training is slow: choose preset lite)")


def check_pitch(found: dict[str, dict[str, Any]]) -> Check:
    """Which pitch predictors load. fcpe is needed, the others are choices."""
    broken = {
        package: found.get(package, {}).get("error")
        for package in _PITCH
        if "error" in found.get(package, {"error": ""})
    }
    ready = ", ".join(what for package, what in _PITCH.items() if package not in broken)
    if not broken:
        return Check("pitch", "ok", ready)
    names = "; ".join(f"{_PITCH[package]} ({package}: {why})" for package, why in broken.items())
    return Check("pitch", "fail" if "torchfcpe" in broken else "warn", f"not usable: {names}", _RUN_AGAIN)


def check_settings(settings: Settings) -> Check:
    """What differs from the defaults, and where it was set."""
    changed = [line for line in settings.describe() if line.source != "default"]
    told = ", ".join(f"{line.name} = {line.value} ({line.source})" for line in changed)
    return Check("settings", "ok", told or "defaults")


def check_workspace(settings: Settings) -> Check:
    """Whether the workspace can be written to."""
    probe = settings.workspace / f".write-test-{os.getpid()}"
    try:
        atomic.write_bytes(probe, b"ok")
        probe.unlink()
    except StudioError as err:
        return Check("workspace", "fail", f"{settings.workspace}: {err.message}", err.hint)
    except OSError as err:
        fix = "Choose another workspace (--workspace), or change the permissions."
        return Check("workspace", "fail", f"{settings.workspace} cannot be written: {err.strerror or err}", fix)
    return Check("workspace", "ok", str(settings.workspace))


def check_disk(settings: Settings) -> Check:
    """Free room where the workspace and the runs lie."""
    try:
        free = min(device.disk(path).free_bytes for path in (settings.workspace, settings.runs))
    except OSError as err:
        return Check("disk", "fail", f"cannot be asked: {err}", "Choose another workspace.")
    detail = f"{human_bytes(free)} free"
    if free < 2 * _GIB:
        return Check("disk", "fail", f"{detail}; a training run needs 2 GB and more", "Free some space.")
    return Check("disk", "ok" if free >= 10 * _GIB else "warn", detail, "" if free >= 10 * _GIB else "Free some space.")


def check_memory() -> Check:
    """Main memory."""
    memory = psutil.virtual_memory()
    detail = f"{human_bytes(memory.available)} of {human_bytes(memory.total)} free"
    if memory.available < 1.5 * _GIB:
        return Check("memory", "warn", detail, "Close other programs before training or converting.")
    return Check("memory", "ok", detail)


def check_packages() -> Check:
    """Whether the packages are installed (not loaded: that would take seconds)."""
    missing = [f"{name} ({what})" for name, what in _NEEDED.items() if importlib.util.find_spec(name) is None]
    if missing:
        return Check("packages", "fail", f"missing: {', '.join(missing)}", _RUN_AGAIN)
    return Check("packages", "ok", f"{len(_NEEDED)} found")


def check_encoder(settings: Settings) -> Check:
    """The content encoder that ships."""
    found = catalogue.locate(settings, "builtin")
    if found.state == "present":
        return Check("builtin encoder", "ok", str(found.path))
    fix = f"{found.entry.by_hand[:1].upper()}{found.entry.by_hand[1:]}."
    return Check("builtin encoder", "fail", f"{', '.join(found.missing)} missing in {found.path}", fix)


def check_contentvec(settings: Settings) -> Check:
    """The optional content encoder."""
    found = catalogue.locate(settings, "contentvec")
    if found.state == "present":
        return Check("contentvec", "ok", str(found.path))
    size = human_bytes(found.entry.size_bytes)
    fix = f"To have it: {found.entry.by_hand}."
    if found.state == "partial":
        return Check("contentvec", "warn", f"incomplete in {found.path}: {', '.join(found.missing)} missing", fix)
    return Check("contentvec", "ok", f"not there; optional ({size}, licence {found.entry.licence})", fix)


def check_port(settings: Settings) -> Check:
    """Whether the port is free, ours, or another program's."""
    place = f"{settings.host}:{settings.port}"
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        if os.name != "nt":  # there it would share a port that is in use
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as err:
            holder = WorkspaceLock(settings.workspace / "studio.lock").holder()
            if psutil.pid_exists(int(holder.get("pid") or 0)) and str(holder.get("url", "")).endswith(
                f":{settings.port}"
            ):
                return Check("port", "ok", f"{place}: this workspace's studio is open at {holder['url']}")
            return Check(
                "port", "warn", f"{place} is taken ({err.strerror})", "The studio will take the next free port."
            )
    return Check("port", "ok", f"{place} is free")
