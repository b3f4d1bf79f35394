"""What this machine has: GPU or CPU, memory, disk. Cheap enough for a status bar; torch only in `pick`."""

import os
import platform
import re
import shutil
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psutil

from core.errors import Unavailable

_SMI_TIMEOUT_S = 4.0
_SMI_KEEP_S = 2.0  # a status bar asks every second or two; nvidia-smi costs a tenth of one
_MIB = 1024 * 1024


@dataclass(frozen=True)
class DeviceInfo:
    """One compute device. For the CPU the memory is the machine's. `utilisation` is 0..1, None if unknown."""

    name: str
    kind: Literal["cpu", "cuda"]
    total_bytes: int
    free_bytes: int
    utilisation: float | None


@dataclass(frozen=True)
class DiskInfo:
    """The disk that holds a path."""

    total_bytes: int
    free_bytes: int


def pick(setting: str = "auto") -> str:
    """The torch device for a setting `auto`, `cpu`, `cuda` or `cuda:N`: "cpu" or "cuda:N". Imports torch.

    `auto` falls back to the CPU; a GPU that was asked for by name and is not there raises Unavailable.
    """
    if setting == "cpu":
        return "cpu"
    import torch

    n_gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if setting == "auto":
        return "cuda:0" if n_gpus else "cpu"
    index = _index(setting)
    if index < n_gpus:
        return f"cuda:{index}"
    found = f"{n_gpus} NVIDIA GPU{'s' if n_gpus != 1 else ''}" if n_gpus else "no usable NVIDIA GPU"
    raise Unavailable(
        f"The device {setting} was asked for, but torch finds {found}.",
        "Set the device to 'auto' or 'cpu', or check the GPU, its driver and torch ('doctor' shows them).",
        where="device",
    )


def info(setting: str = "auto") -> DeviceInfo:
    """The device that `setting` would use, with its memory and load now. Never imports torch, never raises."""
    if setting != "cpu":
        gpus = gpu_list()
        index = _index(setting)
        if index < len(gpus):
            return gpus[index]
    memory = psutil.virtual_memory()
    return DeviceInfo(cpu_name(), "cpu", memory.total, memory.available, psutil.cpu_percent(None) / 100.0)


def disk(path: str | os.PathLike[str]) -> DiskInfo:
    """Size and free room of the disk that holds `path`, or would hold it. Raises OSError if there is none."""
    folder = Path(path).absolute()
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    usage = shutil.disk_usage(folder)
    return DiskInfo(usage.total, usage.free)


def cpu_count() -> int:
    """CPUs that this process may use (a container or `taskset` may allow fewer than the machine has)."""
    try:
        return max(1, len(os.sched_getaffinity(0)))
    except AttributeError:  # not on macOS and Windows
        return max(1, os.cpu_count() or 1)


def threads(setting: int = 0) -> int:
    """Compute threads for a job: `setting`, or by itself the physical cores that this process may use.

    A number in the environment's OMP_NUM_THREADS is a bound on the latter.
    """
    if setting > 0:
        return setting
    physical = psutil.cpu_count(logical=False) or cpu_count()
    wish = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]
    bound = int(wish) if wish.isascii() and wish.isdigit() and int(wish) > 0 else physical
    return max(1, min(physical, cpu_count(), bound))


def cpu_name() -> str:
    """The processor's name as people know it."""
    try:
        match = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        match = None
    return match.group(1).strip() if match else (platform.processor() or platform.machine() or "CPU")


def _index(setting: str) -> int:
    return int(setting.partition(":")[2] or 0)


_smi_lock = threading.Lock()
_smi_seen: tuple[float, list[DeviceInfo]] | None = None


def gpu_list() -> list[DeviceInfo]:
    """NVIDIA GPUs that this process may see, as nvidia-smi reports them; empty where there is none. Kept for 2 s."""
    global _smi_seen
    with _smi_lock:
        now = time.monotonic()
        if _smi_seen is None or now - _smi_seen[0] > _SMI_KEEP_S:
            _smi_seen = (now, _ask_smi())
        return _smi_seen[1]


def _ask_smi() -> list[DeviceInfo]:
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    fields = "index,uuid,name,memory.total,memory.free,utilization.gpu"
    try:
        answer = subprocess.run(
            [program, f"--query-gpu={fields}", "--format=csv,noheader,nounits"],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_SMI_TIMEOUT_S,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
    except (OSError, subprocess.TimeoutExpired):
        return []
    return parse_smi(answer.stdout, os.environ.get("CUDA_VISIBLE_DEVICES")) if answer.returncode == 0 else []


def parse_smi(text: str, visible: str | None) -> list[DeviceInfo]:
    """Read nvidia-smi's CSV (index, uuid, name, MiB total, MiB free, load in percent), one line a GPU.

    `visible` is CUDA_VISIBLE_DEVICES: None shows all; else only the listed indices or UUID prefixes, in
    that order, up to the first that does not exist (as CUDA itself does). Lines that cannot be read are skipped.
    """
    found: list[tuple[str, str, DeviceInfo]] = []
    for line in text.splitlines():
        parts = [part.strip() for part in line.split(",")]
        if len(parts) != 6 or not parts[3].isdigit() or not parts[4].isdigit():
            continue
        load = int(parts[5]) / 100.0 if parts[5].isdigit() else None
        device = DeviceInfo(parts[2], "cuda", int(parts[3]) * _MIB, int(parts[4]) * _MIB, load)
        found.append((parts[0], parts[1], device))
    if visible is None:
        return [device for _, _, device in found]
    chosen: list[DeviceInfo] = []
    for wish in (part.strip() for part in visible.split(",")):
        match = [d for index, uuid, d in found if wish and (index == wish or uuid.startswith(wish))]
        if len(match) != 1:
            break
        chosen.append(match[0])
    return chosen
