"""Light checkpoints: a voice as it was at a step, to listen to and compare, a twentieth of the size of a full one.

A light checkpoint is `light/step_00001000` in the run folder: the generator in half precision without what only
training needs, its config.json and card.json (a folder that conversion takes as it is), and a manifest as full
checkpoints have it. Training never resumes from one.
"""

import json
import shutil
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from core import atomic
from core.errors import ModelFileError
from core.training.generations import (
    MANIFEST,
    generation_name,
    list_generations,
    save_tensors,
    sha256_of,
    step_of,
)

FOLDER = "light"
MODEL_FILE, CONFIG_FILE, CARD_FILE = "model.safetensors", "config.json", "card.json"


def save_light(
    folder: Path, step: int, tensors: Mapping[str, Tensor], config_file: Path, card: Mapping[str, Any]
) -> Path:
    """Write one light checkpoint into `folder` and return its path; one that is there already stays.

    Args:
        folder: the run's `light`.
        step: optimiser steps done.
        tensors: what rendering needs of the generator; floats are written in half precision.
        config_file: the model's config.json, copied.
        card: what a person should know of the voice.

    Raises:
        NoSpace: the disk is full; nothing is left of the attempt.
        ModelFileError: a weight is beyond the range of half precision (65504).
    """

    half = {name: _half(name, value) for name, value in tensors.items()}

    def write(build: Path) -> None:
        save_tensors(build / MODEL_FILE, half, {"format": "pt"})
        shutil.copyfile(config_file, build / CONFIG_FILE)
        full = {**card, "step": step, "precision": "fp16", "model_sha256": sha256_of(build / MODEL_FILE)}
        (build / CARD_FILE).write_text(json.dumps(full, ensure_ascii=False, indent=1), encoding="utf-8")

    return sealed(folder, step, write)


def sealed(folder: Path, step: int, write: Callable[[Path], None]) -> Path:
    """A light checkpoint whose files `write` puts into the empty folder it is given; one that is there already stays.

    Raises NoSpace: the disk is full; nothing is left of the attempt.
    """
    target = folder / generation_name(step)
    if target.exists():
        return target
    with atomic.folder(target) as build:
        write(build)
        files = {p.name: {"bytes": p.stat().st_size, "sha256": sha256_of(p)} for p in sorted(build.iterdir())}
        text = json.dumps({"format": 1, "step": step, "light": True, "files": files}, indent=1)
        (build / MANIFEST).write_text(text, encoding="utf-8")
    return target


def list_light(folder: Path) -> list[Path]:
    """Light checkpoints in `folder`, oldest first."""
    return list_generations(folder)


def thin(folder: Path, most: int, also: Iterable[int] = ()) -> list[Path]:
    """Delete light checkpoints until at most `most` are left; returns what was deleted.

    The first, the newest and the steps in `also` (best, starred) stay; of the others go those whose neighbours are
    nearest, so that what is left tells the course of the whole run.
    """
    paths = {step_of(path): path for path in list_light(folder)}
    kept = set(also)
    gone: list[Path] = []
    while len(paths) > most:
        steps = sorted(paths)
        inner = [(steps[i + 1] - steps[i - 1], steps[i]) for i in range(1, len(steps) - 1) if steps[i] not in kept]
        if not inner:
            break
        path = paths.pop(min(inner)[1])
        shutil.rmtree(path)
        gone.append(path)
    return gone


def _half(name: str, value: Tensor) -> Tensor:
    if not value.is_floating_point():
        return value
    half = value.detach().to("cpu", torch.float16)
    if not bool(torch.isfinite(half).all()):
        raise ModelFileError(f"The weight '{name}' does not fit into half precision.", "Listen to a full checkpoint.")
    return half
