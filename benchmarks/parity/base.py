"""What every family of cases shares: files of a folder, a sheet of expected values, and the measure of a difference."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_Read = TypeVar("_Read")

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
    for whose, x in (("the expected value", b), ("our value", a)):
        if not np.isfinite(x).all():
            return Quantity(name, float("inf"), tolerance, f"{whose} holds NaN or infinity")
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
        return [*self.found, *map(unknown, self.left())]


def unknown(name: str) -> Quantity:
    """The failure of a value that nothing here can compute."""
    return Quantity(name, float("inf"), 0.0, f"unknown quantity: nothing here knows how to compute `{name}`")


# What lies beside cases without being one.
_ASIDE = (".md", ".txt", ".rst", ".py", ".log", ".sha256")
_ASIDE_STEMS = ("index", "readme", "licence", "license", "manifest", "sha256sums")


@dataclass
class Folder:
    """The files of a folder; a family takes those that it knows."""

    path: Path
    taken: set[str] = field(default_factory=set)
    broken: dict[str, str] = field(default_factory=dict)

    def names(self, suffix: str) -> list[str]:
        """Free files with that ending, sorted; those that lie beside cases and those found broken aside."""
        names = (p.name for p in self.path.iterdir() if p.is_file() and p.name.endswith(suffix))
        return sorted(name for name in names if not (name in self.taken or name in self.broken or is_aside(name)))

    def take(self, *names: str) -> None:
        """Claim files."""
        self.taken.update(names)

    def open(self, name: str, read: Callable[[Path], _Read]) -> _Read | None:
        """What `read` makes of a file; None where it cannot, which is remembered as that file's failure."""
        try:
            return read(self.path / name)
        # Readers of five formats; whatever one says of a damaged file is told as that file's failure.
        except Exception as err:  # noqa: BLE001
            self.broken[name] = f"cannot be read, is it damaged? {type(err).__name__}: {err}"
            return None

    def left(self) -> list[str]:
        """Files that no family claimed; indexes, notes and dotfiles aside."""
        return [name for name in self.names("") if not name.startswith(".")]


def is_aside(name: str) -> bool:
    """Whether a file is an index, a note or a licence rather than a case."""
    stem, _, ending = name.lower().partition(".")
    return name.lower().endswith(_ASIDE) or (ending in ("", "json", "yaml") and stem.split("_")[0] in _ASIDE_STEMS)


def read_json(path: Path) -> Any:
    """A JSON file."""
    return json.loads(path.read_text("utf-8"))


def decoded(text: Any) -> Any:
    """A metadata entry: what its JSON says, or the text itself where it is none."""
    try:
        return json.loads(text) if isinstance(text, str) else text
    except ValueError:
        return text


IO_SUFFIX, WEIGHTS_SUFFIX = ".io.safetensors", ".weights.safetensors"


@dataclass(frozen=True)
class TensorCase:
    """A `X.io.safetensors` with what is said about it and, where there is one, its `X.weights.safetensors`."""

    stem: str
    path: Path
    about: dict[str, Any]
    keys: frozenset[str] = frozenset()

    def sheet(self) -> Sheet:
        """The expected values and inputs."""
        from safetensors.torch import load_file

        return Sheet(load_file(self.path / (self.stem + IO_SUFFIX)))

    @property
    def weights(self) -> Path | None:
        """The file of its weights; None: they are the recipe's."""
        file = self.path / (self.stem + WEIGHTS_SUFFIX)
        return file if file.is_file() else None

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Names and shapes of its weights; empty without a file."""
        return {} if self.weights is None else {name: tuple(size) for name, size in _shapes(self.weights).items()}

    def fill(self, module: torch.nn.Module) -> None:
        """Give a module the case's weights: the file's, or the recipe's."""
        from benchmarks.parity.recipe import fill
        from core.models.safe_load import load_tensors, strict_load

        if self.weights is not None:
            strict_load(module, load_tensors(self.weights), str(self.weights))
        else:
            fill(module)
        module.eval().requires_grad_(False)


def _header(path: Path) -> tuple[dict[str, Any], list[str]]:
    """Metadata, its JSON decoded, and names of tensors."""
    from safetensors import safe_open

    with safe_open(path, "pt") as file:
        return {name: decoded(text) for name, text in (file.metadata() or {}).items()}, list(file.keys())


def _shapes(path: Path) -> dict[str, list[int]]:
    from safetensors import safe_open

    with safe_open(path, "pt") as file:
        return {name: file.get_slice(name).get_shape() for name in file.keys()}  # noqa: SIM118


def tensor_cases(folder: Folder, wanted: Callable[[TensorCase], bool]) -> Iterator[TensorCase]:
    """Free cases that are `wanted`; they are taken, with their weights and what is written beside them.

    What is said about a case: the metadata of its file, then of its weights, then a JSON file of the same stem.
    """
    for name in folder.names(IO_SUFFIX):
        stem = name.removesuffix(IO_SUFFIX)
        beside = [f"{stem}.json", f"{stem}.io.json"]
        header = folder.open(name, _header)
        if header is None:
            continue
        about, keys = header
        weights = folder.path / (stem + WEIGHTS_SUFFIX)
        if weights.is_file():
            more = folder.open(weights.name, _header)
            about = {**(more[0] if more else {}), **about}
        for other in beside:
            if (folder.path / other).is_file() and isinstance(said := folder.open(other, read_json), dict):
                about = {**said, **about}
        case = TensorCase(stem, folder.path, about, frozenset(keys))
        if wanted(case):
            folder.take(name, weights.name, *beside)
            yield case
