"""What every family of cases shares: files of a folder, a sheet of expected values, and the measure of a difference."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

AUDIO, AUDIO_FULL, SAMPLER, DSP, EXACT = 1e-4, 1e-3, 1e-3, 1e-5, 0.0


@dataclass(frozen=True)
class Quantity:
    """One comparison. `difference` is the largest |ours - theirs| over the larger of 1 and the largest |theirs|."""

    name: str
    difference: float
    tolerance: float
    note: str = ""

    @property
    def passed(self) -> bool:
        """Whether it is within its tolerance; a NaN is not."""
        return self.difference <= self.tolerance


@dataclass(frozen=True)
class Case:
    """One set of expected values. `run` gives its comparisons, and may raise: that is a failure too."""

    family: str
    name: str
    run: Callable[[], list[Quantity]]


def compare(name: str, ours: Any, theirs: Any, tolerance: float, note: str = "") -> Quantity:
    """Compare two arrays, tensors or numbers; shapes may differ in axes of size one only."""
    a, b = _array(ours), _array(theirs)
    squeezed = [tuple(size for size in x.shape if size != 1) for x in (a, b)]
    if squeezed[0] != squeezed[1]:
        return Quantity(name, float("inf"), tolerance, f"shape {a.shape} instead of {b.shape}")
    if b.size == 0:
        return Quantity(name, 0.0, tolerance, note)
    gap = float(np.abs(a.reshape(b.shape) - b).max())
    return Quantity(name, gap / max(1.0, float(np.abs(b).max())), tolerance, note)


def _array(x: Any) -> NDArray[np.float64]:
    if isinstance(x, Tensor):
        x = x.detach().cpu().double().numpy()
    return np.asarray(x, np.float64)


class Sheet:
    """The tensors of a case. Each is either an input or compared; what is neither is a failure that names it."""

    def __init__(self, values: dict[str, Tensor]) -> None:
        self.values = values
        self.found: list[Quantity] = []
        self._seen: set[str] = set()

    def __contains__(self, name: str) -> bool:
        return name in self.values

    def given(self, name: str) -> Tensor:
        """An input."""
        self._seen.add(name)
        return self.values[name]

    def ignore(self, *names: str) -> None:
        """Values that say something about the case, not about the result."""
        self._seen.update(names)

    def left(self) -> list[str]:
        """Names not yet used, in order."""
        return sorted(name for name in self.values if name not in self._seen)

    def check(self, name: str, ours: Any, tolerance: float, label: str = "", note: str = "") -> None:
        """Compare an expected value, if the case holds it."""
        if name in self.values:
            self._seen.add(name)
            self.found.append(compare(label or name, ours, self.values[name], tolerance, note))

    def close(self) -> list[Quantity]:
        """All comparisons, and a failure for every value that nothing here knows."""
        unknown = [Quantity(name, float("inf"), 0.0, "unknown quantity") for name in self.left()]
        return [*self.found, *unknown]


@dataclass
class Folder:
    """The files of a folder; a family takes those that it knows."""

    path: Path
    taken: set[str] = field(default_factory=set)

    def names(self, suffix: str) -> list[str]:
        """Free files with that ending, sorted."""
        names = (p.name for p in self.path.iterdir() if p.is_file() and p.name.endswith(suffix))
        return sorted(name for name in names if name not in self.taken)

    def take(self, *names: str) -> None:
        """Claim files."""
        self.taken.update(names)

    def left(self) -> list[str]:
        """Files that no family claimed; indexes and dotfiles aside."""
        names = sorted(p.name for p in self.path.iterdir() if p.is_file())
        return [n for n in names if n not in self.taken and not n.startswith(".") and not _is_index(n)]


def _is_index(name: str) -> bool:
    return name.upper().startswith("INDEX") and name.endswith(".json")


IO_SUFFIX, WEIGHTS_SUFFIX = ".io.safetensors", ".weights.safetensors"


@dataclass(frozen=True)
class TensorCase:
    """A `X.io.safetensors` with its metadata and, where there is one, its `X.weights.safetensors`."""

    stem: str
    path: Path
    metadata: dict[str, str]

    def sheet(self) -> Sheet:
        """The expected values and inputs."""
        from safetensors.torch import load_file

        return Sheet(load_file(self.path / (self.stem + IO_SUFFIX)))

    def fill(self, module: torch.nn.Module) -> None:
        """Give a module the case's weights: the file's, or the recipe's."""
        from benchmarks.parity.recipe import fill
        from core.models.safe_load import load_tensors, strict_load

        file = self.path / (self.stem + WEIGHTS_SUFFIX)
        if file.is_file():
            strict_load(module, load_tensors(file), str(file))
        else:
            fill(module)
        module.eval().requires_grad_(False)

    def meta(self, name: str) -> Any:
        """A metadata entry, decoded from JSON."""
        return json.loads(self.metadata[name])


def tensor_cases(folder: Folder, wanted: Callable[[TensorCase, list[str]], bool]) -> Iterator[TensorCase]:
    """Free cases of which `wanted(case, names of its tensors)` is true; they are taken, with their weights."""
    from safetensors import safe_open

    for name in folder.names(IO_SUFFIX):
        with safe_open(folder.path / name, "pt") as file:
            metadata, keys = file.metadata() or {}, list(file.keys())
        case = TensorCase(name.removesuffix(IO_SUFFIX), folder.path, metadata)
        if wanted(case, keys):
            folder.take(name, case.stem + WEIGHTS_SUFFIX)
            yield case
