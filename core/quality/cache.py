"""Figures kept beside a voice, one JSON object a line by the clip's sha256, so that only new clips are measured."""

import contextlib
import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import IO, TYPE_CHECKING

from pydantic import TypeAdapter, ValidationError

from core import atomic
from core.errors import is_no_space, no_space
from core.quality.figures import FIGURES_VERSION, ClipFigures

if TYPE_CHECKING:
    from types import TracebackType

_ADAPTER = TypeAdapter(ClipFigures)
_STALE_LINES = 500  # more lines than this of clips that are gone, and the file is written anew


class FigureCache:
    """Read at once, written line by line as clips are measured: a cancelled run keeps what it did.

    Lines of another version or embedder, and damaged ones, count as not there. Used in a `with`.
    """

    def __init__(self, path: Path, embedder: str) -> None:
        self.path = path
        self._key = f"{FIGURES_VERSION}:{embedder}"
        self._figures: dict[str, ClipFigures] = {}
        self._n_lines = 0
        self._handle: IO[bytes] | None = None

    def __enter__(self) -> "FigureCache":
        self._read()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: "TracebackType | None"
    ) -> None:
        if self._handle is not None:
            self._handle.close()
            self._handle = None

    def _read(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            for line in self.path.read_bytes().split(b"\n"):
                if not line.strip():
                    continue
                self._n_lines += 1
                with contextlib.suppress(ValueError, ValidationError, KeyError, TypeError):
                    row = json.loads(line)
                    if row["key"] == self._key:
                        self._figures[str(row["sha256"])] = _ADAPTER.validate_python(row["figures"])

    def get(self, sha256: str) -> ClipFigures | None:
        """The figures of the clip with this content, if they are known."""
        return self._figures.get(sha256)

    def put(self, sha256: str, figures: ClipFigures) -> None:
        """Keep figures. Raises NoSpace."""
        self._figures[sha256] = figures
        try:
            if self._handle is None:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self._handle = open(self.path, "ab", buffering=0)  # noqa: SIM115 (closed by __exit__)
                if self._handle.tell():
                    self._handle.write(b"\n")  # a killed run may have left half a line
            self._handle.write(self._line(sha256))
        except OSError as err:
            if is_no_space(err):
                raise no_space(err, None, self.path) from err
            raise
        self._n_lines += 1

    def tidy(self, wanted: Iterable[str]) -> None:
        """Write the file anew with the wanted clips only, if many lines are stale. Raises NoSpace."""
        keep = [sha256 for sha256 in dict.fromkeys(wanted) if sha256 in self._figures]
        if self._n_lines <= len(keep) + _STALE_LINES:
            return
        self.__exit__(None, None, None)
        atomic.write_bytes(self.path, b"".join(self._line(sha256) for sha256 in keep))

    def _line(self, sha256: str) -> bytes:
        row = {"key": self._key, "sha256": sha256, "figures": asdict(self._figures[sha256])}
        return json.dumps(row, separators=(",", ":"), allow_nan=False).encode() + b"\n"
