"""Recordings from anywhere into a voice's folder: checked, copied atomically, nothing overwritten, nothing twice."""

import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from core import atomic
from core.errors import BadInput, NoSpace, is_no_space, no_space
from core.paths import safe_filename, unique_path

if TYPE_CHECKING:
    from core.jobs.context import JobContext

_COPY_BYTES = 4 << 20
_RESERVE_BYTES = 32 << 20  # left free, so that the database and the log can still be written
_DEFAULT_MAX_HOURS = 24.0
# What operating systems leave in folders. Dotfiles are skipped too.
_DROPPINGS = frozenset({"thumbs.db", "desktop.ini", "__macosx", "ehthumbs.db", "$recycle.bin"})


@dataclass
class ImportReport:
    """`added`: the copies; `skipped`: (name, why and what to do) of every file that was not taken."""

    added: list[Path] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)

    def skip(self, name: str, reason: str) -> None:
        """Note a file that was not taken. Bytes of a name that are no Unicode become `?`, so that it can be shown."""
        self.skipped.append((_shown(name), _shown(reason)))


def import_recordings(raw: Path, paths: Iterable[Path], ctx: "JobContext | None" = None) -> ImportReport:
    """Copy files, and all files below folders, into the folder `raw`.

    Hidden files and system droppings are passed over in silence; a file that is no readable sound, is there already
    (same content) or cannot be read is skipped with a reason, and the others go on. Names are made safe and short,
    a name that is taken gets a number. Raises NoSpace (what was copied so far stays), Cancelled.
    """
    report = ImportReport()
    found = list(_walk([Path(path) for path in paths], report))
    known = _Known(raw)
    total = sum(size for _, size in found) or 1
    done = 0
    for path, size in found:
        if ctx is not None:
            ctx.progress(done / total, path.name)
        try:
            _check(path, _DEFAULT_MAX_HOURS if ctx is None else ctx.settings.max_decode_hours)
            twin = known.twin(path, size)
            if twin is not None:
                raise BadInput(f"The same recording is there already as {twin.name}.")
            report.added.append(known.add(_copy(path, raw, size, ctx)))
        except BadInput as err:
            report.skip(path.name, str(err))
        except NoSpace as err:
            err.hint = f"{len(report.added)} of {len(found)} recordings were copied and stay. {err.hint}"
            raise
        done += size
    if ctx is not None:
        ctx.progress(1.0)
    return report


def _walk(paths: list[Path], report: ImportReport) -> Iterator[tuple[Path, int]]:
    """(file, size) of what was named and of all below it, folders in order of names; links out are not followed."""
    for path in paths:
        if not path.is_dir():
            try:
                yield path, path.stat().st_size
            except (OSError, ValueError):
                report.skip(path.name, "It cannot be found. Check the name and the folder.")
            continue
        root = path.resolve()
        n_files = 0
        for here, folders, names in os.walk(path):
            folders[:] = sorted(name for name in folders if not _hidden(name))
            for name in sorted(name for name in names if not _hidden(name)):
                file = Path(here, name)
                n_files += 1
                try:
                    if not file.resolve().is_relative_to(root):
                        report.skip(name, "It is a link out of the folder. Add the file itself.")
                        continue
                    yield file, file.stat().st_size
                except (OSError, RuntimeError) as err:
                    report.skip(name, f"It cannot be read: {getattr(err, 'strerror', None) or err}.")
        if n_files == 0:
            report.skip(path.name, "There are no files in this folder.")


def _shown(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8")


def _hidden(name: str) -> bool:
    return name.startswith(".") or name.lower() in _DROPPINGS


def _check(path: Path, max_hours: float) -> None:
    """Raises BadInput if the file cannot become clips."""
    from core.audio.decode import probe  # the page imports this module; the decoder loads when it is used

    info = probe(path)
    if info.duration_s is not None and info.duration_s > max_hours * 3600:
        raise BadInput(
            f"{path.name} is {info.duration_s / 3600:.1f} hours long; the limit is {max_hours:g}.",
            "Split it into shorter files, or raise max_decode_hours in the settings.",
            where=str(path),
        )


def _copy(path: Path, raw: Path, size: int, ctx: "JobContext | None") -> Path:
    raw.mkdir(parents=True, exist_ok=True)
    target = unique_path(raw / safe_filename(path.name, "recording"))
    if shutil.disk_usage(raw).free < size + _RESERVE_BYTES:
        raise no_space(None, size + _RESERVE_BYTES, target)
    with atomic.file(target) as temp:
        try:
            source = open(path, "rb")  # noqa: SIM115  (errors of reading and of writing need different words)
        except OSError as err:
            raise _unreadable(path, err) from err
        with source, open(temp, "wb") as out:
            while True:
                try:
                    piece = source.read(_COPY_BYTES)
                except OSError as err:
                    raise _unreadable(path, err) from err
                if not piece:
                    break
                out.write(piece)
                if ctx is not None:
                    ctx.check()
    return target


def _unreadable(path: Path, err: OSError) -> BadInput:
    if is_no_space(err):
        raise err
    return BadInput(
        f"{path.name} cannot be read: {err.strerror or err}.", "Copy it to this computer first.", where=str(path)
    )


class _Known:
    """Finds a file of the same content among those that are there. Only files of equal size are read."""

    def __init__(self, raw: Path) -> None:
        self._by_size: dict[int, list[Path]] = {}
        self._hashes: dict[Path, str] = {}
        if raw.is_dir():
            for path in sorted(raw.rglob("*")):
                if path.is_file() and not path.name.startswith("."):
                    self._by_size.setdefault(path.stat().st_size, []).append(path)

    def add(self, path: Path) -> Path:
        """Remember a new file; returns it."""
        self._by_size.setdefault(path.stat().st_size, []).append(path)
        return path

    def twin(self, path: Path, size: int) -> Path | None:
        """The file that holds the same bytes, if any."""
        others = self._by_size.get(size, [])
        if not others:
            return None
        try:
            wanted = file_sha256(path)
        except OSError as err:
            raise _unreadable(path, err) from err
        for other in others:
            if other not in self._hashes:
                self._hashes[other] = file_sha256(other)
            if self._hashes[other] == wanted:
                return other
        return None


def file_sha256(path: Path) -> str:
    """Hex digest of a file's content. Raises OSError."""
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
