"""The only door through which weights enter the studio. Nothing runs from a file.

Safetensors hold no code. `.pth` and `.pt` go through torch's weights-only unpickler, which builds
tensors and plain containers and refuses everything else (trustworthy from torch 2.10; our floor is 2.11).
Old files that carry settings of fairseq, omegaconf, argparse or numpy beside their weights are then read by
`core.models.restricted_pickle`, which calls nothing at all. Every archive is measured before it is opened.
"""

import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import ModelFileError

if TYPE_CHECKING:
    import torch

_SHOWN = 10
# Torch's words when a file names a class or function, as opposed to being unreadable.
_REFUSALS = ("unsupported global", "unsupported class", "unrecognized function", "not an allowed global")
_PICKLED_SUFFIXES = frozenset({".pth", ".pt", ".ckpt", ".bin", ""})  # a vocoder's file is called just "model"
# Under these names files keep their table of tensors.
_TABLES = ("model", "generator", "state_dict", "model_state_dict")
# Torch writes archives without compression: more inside than outside is a trap. Some room for the directory.
_ARCHIVE_SLACK = 2**20
_GET_AGAIN = "Download or copy the file again; if it is a checkpoint of yours, choose an earlier one."


def load_tensors(path: str | os.PathLike[str]) -> "dict[str, torch.Tensor]":
    """Name -> tensor of a weights file, on the CPU.

    Reads `.safetensors`, and `.pth`/`.pt`/`.ckpt`/`.bin` or a name without suffix that hold either a flat dict
    of tensors or a dict with that under "model", "generator", "state_dict" or "model_state_dict". Raises
    ModelFileError naming the file.
    """
    file = _readable(path)
    if file.suffix.lower() != ".safetensors":
        return tensors_of(load_checkpoint(file), file)
    import safetensors
    import safetensors.torch

    try:
        return safetensors.torch.load_file(file, device="cpu")
    except (safetensors.SafetensorError, OSError, ValueError, KeyError) as err:
        raise _damaged(file, err) from err


def tensors_of(data: Any, path: Path) -> "dict[str, torch.Tensor]":
    """The table of tensors in decoded data of the file `path`, see `load_tensors`. Raises ModelFileError."""
    tables = [data[name] for name in _TABLES if isinstance(data.get(name), dict)] if isinstance(data, dict) else []
    return _flat(tables[0] if tables else data, path)


def load_checkpoint(path: str | os.PathLike[str]) -> Any:
    """The nested data (dicts, lists, numbers, strings, tensors) of a `.pth`/`.pt` file, tensors on the CPU.

    Raises ModelFileError if the file is damaged or asks for anything that is not plain data.
    """
    file = _readable(path)
    if file.suffix.lower() not in _PICKLED_SUFFIXES:
        raise ModelFileError(
            f"{file.name} is not a weights file that the studio knows.",
            "It reads .safetensors, .pth, .pt, .ckpt and .bin.",
            where=str(file),
        )
    import torch

    _measure(file)
    try:
        return torch.load(file, map_location="cpu", weights_only=True)
    # A process boundary of sorts: the file decides which error torch's readers raise (a broken zip, an
    # unpickler's refusal, a bad key, a struct, an overflow), and none of them may reach a user as it is.
    except Exception as err:
        if any(words in str(err).lower() for words in _REFUSALS):
            return _read_restricted(file)
        raise _damaged(file, err) from err


def _read_restricted(file: Path) -> Any:
    """What torch's reader refuses, by the reader that calls nothing. Raises ModelFileError."""
    from core.models import torch_file
    from core.models.restricted_pickle import Refused

    try:
        return torch_file.read(file)
    except Refused as err:
        raise ModelFileError(
            f"{file.name} holds more than numbers: it asks to run code while loading ({err}), and was refused.",
            "Do not use it unless you trust its maker; ask for a .safetensors version.",
            where=str(file),
        ) from err
    # As above: the file decides which error its reading raises.
    except Exception as err:
        raise _damaged(file, err) from err


def _measure(file: Path) -> None:
    """Refuse an archive that would unpack to more than it is."""
    import zipfile

    if not zipfile.is_zipfile(file):
        return
    try:
        with zipfile.ZipFile(file) as archive:
            inside = sum(entry.file_size for entry in archive.infolist())
    except (zipfile.BadZipFile, OSError, ValueError) as err:
        raise _damaged(file, err) from err
    if inside > file.stat().st_size + _ARCHIVE_SLACK:
        raise ModelFileError(
            f"{file.name} would unpack to {inside / 2**20:.0f} MB, far more than the file's own size, and was refused.",
            "No training program writes such a file. Get it from its maker again, as .safetensors if you can.",
            where=str(file),
        )


def check_numbers(tensors: "Mapping[str, torch.Tensor]", where: str) -> None:
    """Raise ModelFileError if any weight is not a finite number, naming tensors (ten of them, and how many)."""
    import torch

    bad = [name for name, x in tensors.items() if x.is_floating_point() and not bool(torch.isfinite(x).all())]
    if bad:
        raise ModelFileError(
            f"{Path(where).name} holds weights that are not numbers (NaN or infinite): {_listing('tensors', bad)}.",
            "The training that wrote it had failed by then. Use an earlier checkpoint.",
            where=where,
        )


def strict_load(
    module: "torch.nn.Module",
    tensors: "Mapping[str, torch.Tensor]",
    where: str,
    *,
    may_miss: Collection[str] = (),
    may_ignore: Collection[str] = (),
) -> None:
    """Copy `tensors` into `module`; every name and shape must match.

    `may_miss` lists names that keep the module's own values when absent, `may_ignore` names that are
    dropped when present: documented exceptions, spelled out by the caller. `where` is the file for the
    message. Raises ModelFileError that lists missing, extra and wrong-shaped tensors (ten of each, and
    how many), or weights that are not finite; the module is then unchanged.
    """
    wanted = module.state_dict()
    missing = [name for name in wanted if name not in tensors and name not in may_miss]
    extra = [name for name in tensors if name not in wanted and name not in may_ignore]
    wrong = [
        f"{name} is {_shape(tensors[name])}, the model needs {_shape(tensor)}"
        for name, tensor in wanted.items()
        if name in tensors and tensors[name].shape != tensor.shape
    ]
    if missing or extra or wrong:
        parts = [
            _listing("missing", missing),
            _listing("not part of the model", extra),
            _listing("of the wrong shape", wrong),
        ]
        raise ModelFileError(
            f"{Path(where).name} does not fit the model: {'; '.join(part for part in parts if part)}.",
            "It belongs to another model family, size or version. Use it with its own config, or choose another file.",
            where=where,
        )
    kept = {name: tensors.get(name, own) for name, own in wanted.items()}
    check_numbers(kept, where)
    module.load_state_dict(kept, strict=True)


def _readable(path: str | os.PathLike[str]) -> Path:
    file = Path(path)
    if not file.is_file():
        raise ModelFileError(f"There is no weights file {file}.", "Check the path.", where=str(file))
    try:
        with open(file, "rb") as handle:
            head = handle.read(64)
    except OSError as err:
        raise ModelFileError(
            f"{file.name} cannot be read: {err.strerror}.", "Check its permissions.", where=str(file)
        ) from err
    if not head:
        raise ModelFileError(f"{file.name} is empty.", _GET_AGAIN, where=str(file))
    if head.startswith(b"version https://git-lfs"):
        raise ModelFileError(
            f"{file.name} is a Git LFS pointer, not the weights.", "Run `git lfs pull` in its folder.", where=str(file)
        )
    if head.lstrip()[:14].lower().startswith((b"<!doctype html", b"<html")):
        raise ModelFileError(
            f"{file.name} is a web page, not weights.",
            "The download was answered with a page (a login, perhaps). Download the file itself.",
            where=str(file),
        )
    return file


def _flat(data: object, file: Path) -> "dict[str, torch.Tensor]":
    import torch

    if isinstance(data, dict) and data and all(isinstance(tensor, torch.Tensor) for tensor in data.values()):
        return {str(name): tensor for name, tensor in data.items()}
    raise ModelFileError(
        f"{file.name} holds no table of tensors.",
        "It is perhaps an optimiser state or another kind of file.",
        where=str(file),
    )


def _damaged(file: Path, err: Exception) -> ModelFileError:
    said = str(err).strip()
    reason = said.splitlines()[0].split(". ")[0][:120] if said else type(err).__name__
    if "central directory" in said or isinstance(err, OSError):  # torch's ways to miss the end of a zip archive
        reason = "its end is missing"
    return ModelFileError(f"{file.name} is damaged or cut short ({reason}).", _GET_AGAIN, where=str(file))


def _shape(tensor: "torch.Tensor") -> str:
    return "x".join(str(size) for size in tensor.shape) or "a single number"


def _listing(what: str, names: list[str]) -> str:
    if not names:
        return ""
    more = f", and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{len(names)} {what} ({', '.join(names[:_SHOWN])}{more})"
