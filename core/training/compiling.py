"""`torch.compile` where a compiler is there, and training as usual where none is."""

import logging
import shutil
import sys

import torch
from torch import nn

log = logging.getLogger(__name__)


def why_not(device: torch.device) -> str | None:
    """Why modules cannot be compiled for this device; None if they can."""
    if device.type == "cuda":
        try:
            import triton  # noqa: F401
        except ImportError:
            return "the package triton is not installed"
        if torch.cuda.get_device_capability(device) < (7, 0):
            return "the GPU is older than what triton compiles for"
    if sys.platform == "win32":
        return None if shutil.which("cl") else "there is no C++ compiler (cl) on the path"
    if not any(shutil.which(name) for name in ("g++", "clang++", "c++")):
        return "there is no C++ compiler (g++ or clang++) on the path"
    return None


def compile_modules(modules: dict[str, nn.Module], device: torch.device) -> str | None:
    """Compile the modules in place (their tensors keep their names); a note if that cannot be, else None.

    What a graph cannot hold, or a compiler refuses later, runs uncompiled: torch falls back by itself.
    """
    reason = why_not(device)
    if reason is not None:
        return f"Training is not compiled: {reason}."
    torch._dynamo.config.suppress_errors = True
    for name, module in modules.items():
        log.info("the %s is compiled at its first step", name)
        module.compile(dynamic=True)  # type: ignore[no-untyped-call]
    return None
