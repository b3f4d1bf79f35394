"""Checkpoint generations on disk: written whole or not at all, verified when read, pruned.

A generation is a folder `step_00001000` of safetensors files and one `state.json`, made whole before it gets its name.
Its `manifest.json`, written last, holds the step, what the run was (config hash, data hash, library versions), the size
and sha256 of every other file, and a sha256 over itself. A folder without a manifest, or whose files differ from it,
is damaged and is never loaded. Manifests of format 1 have no sha256 over themselves and are read all the same.
"""

import hashlib
import json
import re
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from core import atomic
from core.errors import ModelFileError, NoSpace, human_bytes, is_no_space

MANIFEST = "manifest.json"
STATE = "state.json"
FORMAT = 2
_SELF = "manifest_sha256"
_NAME = re.compile(r"step_(\d{8,})")
_MARGIN_BYTES = 1 << 20
_LIMIT_TEXT = "os error 27"  # EFBIG through safetensors, which keeps only the words


@dataclass(frozen=True)
class Generation:
    """One checkpoint read back and verified."""

    path: Path
    step: int
    tensors: dict[str, dict[str, Tensor]]
    """By file stem: "generator", "discriminator", "optimisers", ... Tensors on the CPU."""
    state: dict[str, Any]


def generation_name(step: int) -> str:
    """Folder name of a step; sorts by step."""
    return f"step_{step:08d}"


def step_of(path: Path) -> int:
    """The step that a generation's folder name says."""
    return int(path.name.removeprefix("step_"))


def list_generations(folder: Path) -> list[Path]:
    """Generation folders in `folder`, oldest first, whole or not."""
    if not folder.is_dir():
        return []
    found = [(int(m.group(1)), p) for p in folder.iterdir() if p.is_dir() and (m := _NAME.fullmatch(p.name))]
    return [p for _, p in sorted(found)]


def unshared(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A copy of a state dict that safetensors accepts: contiguous CPU tensors, none sharing memory with another."""
    seen: set[int] = set()
    result: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        value = tensor.detach().to("cpu").contiguous()
        storage = value.untyped_storage()
        if storage.data_ptr() in seen or storage.nbytes() != value.numel() * value.element_size():
            value = value.clone()
        seen.add(value.untyped_storage().data_ptr())
        result[name] = value
    return result


def save_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: dict[str, str] | None = None) -> None:
    """Write a safetensors file. Neither atomic nor synced by itself: meant for the body of `atomic.folder` or `.file`.

    Raises:
        NoSpace: the disk (or a quota, or a file size limit) is full; names how much is needed.
    """
    whole = unshared(tensors)
    need = sum(t.numel() * t.element_size() for t in whole.values()) + _MARGIN_BYTES
    if shutil.disk_usage(path.parent).free < need:
        raise _no_space(path, need)
    try:
        save_file(whole, path, metadata=metadata)
    except (SafetensorError, OSError) as err:
        if is_no_space(err) or _LIMIT_TEXT in str(err):
            raise _no_space(path, need) from err
        raise


def save_generation(
    folder: Path,
    step: int,
    tensors: Mapping[str, Mapping[str, Tensor]],
    state: Mapping[str, Any],
    about: Mapping[str, Any],
) -> Path:
    """Write one generation into `folder` and return its path. What was there before stays whole if this fails.

    Args:
        folder: the run's `checkpoints`.
        step: optimiser steps done.
        tensors: file stem -> named tensors.
        state: JSON-able scalars needed to go on (RNG of python and numpy, sampler position, schedule).
        about: further lines of the manifest (config hash, data hash, versions).

    Raises:
        NoSpace: the disk is full; the message says how much is needed for the whole generation.
    """
    folder.mkdir(parents=True, exist_ok=True)
    need = sum(t.numel() * t.element_size() for group in tensors.values() for t in group.values()) + _MARGIN_BYTES
    target = folder / generation_name(step)
    free = shutil.disk_usage(folder).free
    if free < need:
        raise _no_space(target, need)
    if target.exists():
        try:
            load_manifest(target, verify=True)
            return target  # a save that was tried again after the disk was full
        except ModelFileError:  # of the same step, met again after falling back
            _set_aside(target)
    try:
        with atomic.folder(target) as build:
            for stem, group in tensors.items():
                save_tensors(build / f"{stem}.safetensors", group)
            _write_json(build / STATE, dict(state))
            files = {p.name: {"bytes": p.stat().st_size, "sha256": sha256_of(p)} for p in sorted(build.iterdir())}
            manifest = {"format": FORMAT, "step": step, **about, "files": files}
            _write_json(build / MANIFEST, {**manifest, _SELF: _digest(manifest)})
    except NoSpace as err:
        raise _no_space(target, need) from err
    return target


def load_generation(path: Path) -> Generation:
    """Read and verify one generation.

    Raises:
        ModelFileError: naming the file that is missing, cut short or changed.
    """
    manifest = load_manifest(path, verify=True)
    files = manifest["files"]
    tensors = {Path(name).stem: load_file(path / name) for name in files if name.endswith(".safetensors")}
    return Generation(path, int(manifest["step"]), tensors, _read_json(path / STATE))


def load_manifest(path: Path, verify: bool = False) -> dict[str, Any]:
    """The manifest of a generation; with `verify` every file that it lists is compared with it.

    Raises:
        ModelFileError: naming the file that is missing, cut short or changed.
    """
    manifest = _read_json(path / MANIFEST)
    written = manifest.pop(_SELF, None)
    files = manifest.get("files")
    if not isinstance(files, dict) or STATE not in files or manifest.get("format") not in (1, FORMAT):
        raise ModelFileError(f"{path / MANIFEST} lists no files", _HINT)
    if manifest["format"] != 1 and written != _digest(manifest):
        raise ModelFileError(f"{path / MANIFEST} is not what was written (its sha256 differs)", _HINT)
    for name, expected in files.items() if verify else ():
        file = path / name
        if not file.is_file():
            raise ModelFileError(f"{file} is missing", _HINT)
        if file.stat().st_size != expected["bytes"]:
            raise ModelFileError(
                f"{file} has {file.stat().st_size} bytes, its manifest says {expected['bytes']}", _HINT
            )
        if sha256_of(file) != expected["sha256"]:
            raise ModelFileError(f"{file} is not what was written (its sha256 differs)", _HINT)
    return manifest


def load_newest(folder: Path) -> tuple[Generation | None, list[str]]:
    """The newest generation that is whole, and a line for each newer one that is not.

    A damaged generation is set aside as `NAME.damaged` (the newest one is kept for a look), so that it is met once.

    Raises:
        ModelFileError: there are generations and every one is damaged: training never restarts at zero by itself.
    """
    notes: list[str] = []
    for path in reversed(list_generations(folder)):
        try:
            return load_generation(path), notes
        except ModelFileError as err:
            notes.append(f"checkpoint {path.name} is damaged and was set aside: {err.message}")
            _set_aside(path)
    if notes:
        raise ModelFileError(
            f"no whole checkpoint is left in {folder}: " + "; ".join(notes),
            "Start a new run, or put back a checkpoint from a backup.",
        )
    return None, notes


def prune(folder: Path, keep: int, also: Iterable[int] = (), every: int = 0) -> list[Path]:
    """Delete old generations; returns what was deleted.

    Kept are the newest `keep`, those of the steps in `also` (best, starred), and those whose step is a multiple of
    `every` (0: none).
    """
    kept = {generation_name(step) for step in also}
    old = [
        p for p in list_generations(folder)[:-keep] if p.name not in kept and not (every and step_of(p) % every == 0)
    ]
    for path in old:
        shutil.rmtree(path)
    return old


def sha256_of(path: Path) -> str:
    """Hex sha256 of a file, read in blocks."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


_HINT = "The previous checkpoint is used instead where there is one."


def _digest(manifest: Mapping[str, Any]) -> str:
    """sha256 over a manifest's content, however it is laid out in the file."""
    text = json.dumps(manifest, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _set_aside(path: Path) -> None:
    for old in path.parent.glob("step_*.damaged"):
        shutil.rmtree(old)
    path.rename(path.with_name(path.name + ".damaged"))


def _no_space(path: Path, need: int) -> NoSpace:
    return NoSpace(
        f"The disk is full: {path.name} needs {human_bytes(need)} in {path.parent}.",
        "Free that much there, then resume the run. The last checkpoint is whole.",
        where=str(path),
    )


def _write_json(path: Path, data: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(data, ensure_ascii=False, indent=1), encoding="utf-8")


def _read_json(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as err:
        raise ModelFileError(f"{path} is missing", _HINT) from err
    except (ValueError, OSError) as err:
        raise ModelFileError(f"{path} cannot be read: {err}", _HINT) from err
    if not isinstance(data, dict):
        raise ModelFileError(f"{path} does not hold an object", _HINT)
    return data
