"""Voices on disk: one folder each, named by the person who made it (Unicode kept, made safe)."""

import time
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from core.dataset.importing import ImportReport, import_recordings
from core.errors import BadInput, Conflict, NotFound, StudioError, is_no_space, no_space
from core.paths import inside, safe_name, unique_path

if TYPE_CHECKING:
    from core.jobs.context import JobContext

__all__ = ["FOLDERS", "ImportReport", "Voice", "VoiceStore", "import_recordings"]

FOLDERS = (
    "raw_audio",
    "converted_audio",
    "sliced_audio",
    "denoised_audio",
    "transcripts",
    "experiments",
    "models",
)
_TRASH = ".trash"


@dataclass(frozen=True)
class Voice:
    """One person's or character's folder. The folders in it are made when something is put there."""

    name: str
    path: Path

    @property
    def raw(self) -> Path:
        """Recordings as they were imported."""
        return self.path / "raw_audio"

    @property
    def converted(self) -> Path:
        """Recordings brought to one format."""
        return self.path / "converted_audio"

    @property
    def sliced(self) -> Path:
        """Clips and their table."""
        return self.path / "sliced_audio"

    @property
    def denoised(self) -> Path:
        """Cleaned recordings."""
        return self.path / "denoised_audio"

    @property
    def transcripts(self) -> Path:
        """What is said in the recordings."""
        return self.path / "transcripts"

    @property
    def experiments(self) -> Path:
        """Trials that are not models yet."""
        return self.path / "experiments"

    @property
    def models(self) -> Path:
        """Trained models, one folder each."""
        return self.path / "models"


class VoiceStore:
    """The voices below one folder. A name is a folder name; two names that differ in case only are one voice."""

    def __init__(self, root: Path) -> None:
        self.root = Path(root)

    def list(self) -> "list[Voice]":
        """All voices by name."""
        if not self.root.is_dir():
            return []
        found = [Voice(p.name, p) for p in self.root.iterdir() if p.is_dir() and not p.name.startswith(".")]
        return sorted(found, key=lambda voice: _key(voice.name))

    def get(self, name: str) -> Voice:
        """The voice of that name. Raises NotFound, BadInput (its folder is a link out of the workspace)."""
        path = self.root / name
        if not name or safe_name(name) != name or not path.is_dir():
            known = ", ".join(voice.name for voice in self.list()[:10]) or "none yet"
            raise NotFound(f"There is no voice {name!r}.", f"Choose one or make it. Voices: {known}.", where=name)
        inside(self.root, path)
        return Voice(name, path)

    def create(self, name: str) -> Voice:
        """Make an empty voice; its name is made safe for a folder. Raises BadInput (no name), Conflict, NoSpace."""
        voice = self._free(name)
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            voice.path.mkdir()  # of several who ask at once, in whatever process, one makes it
            for folder in FOLDERS:
                (voice.path / folder).mkdir(exist_ok=True)
        except FileExistsError as err:
            raise _taken(voice.name) from err
        except OSError as err:
            raise _explain(err, voice.path) from err
        return voice

    def rename(self, name: str, new_name: str) -> Voice:
        """Give a voice another name, and its manifest the new paths. Raises NotFound, BadInput, Conflict."""
        from core.dataset.manifest import manifest_path, write_manifest

        voice = self.get(name)
        renamed = self._free(new_name, but=name)
        if renamed.name == voice.name:
            return voice
        try:
            voice.path.rename(renamed.path)
        except OSError as err:
            raise _explain(err, renamed.path) from err
        if manifest_path(renamed).exists():
            write_manifest(renamed)
        return renamed

    def delete(self, name: str) -> Path:
        """Move a voice to `.trash` beside the voices, from where it can be put back by hand. Raises NotFound."""
        voice = self.get(name)
        trash = self.root / _TRASH
        target = unique_path(trash / f"{voice.name} {time.strftime('%Y-%m-%d %H.%M.%S')}")
        try:
            trash.mkdir(exist_ok=True)
            voice.path.rename(target)
        except OSError as err:
            raise _explain(err, voice.path) from err
        return target

    def import_recordings(self, voice: Voice, paths: Iterable[Path], ctx: "JobContext | None" = None) -> ImportReport:
        """Copy recordings into a voice. See `importing.import_recordings`."""
        return import_recordings(voice.raw, paths, ctx)

    def _free(self, name: str, but: str = "") -> Voice:
        """A voice that may take that name. Raises BadInput for an empty name, Conflict if another has it."""
        wanted = safe_name(name, fallback="")
        if not wanted:
            raise BadInput("The voice needs a name.", "Use letters or digits of any language.", where="name")
        for other in self.list():
            if other.name != but and _key(other.name) == _key(wanted):
                raise _taken(other.name)
        return Voice(wanted, self.root / wanted)


def _taken(name: str) -> Conflict:
    return Conflict(f"There is a voice {name!r} already.", "Choose another name.", where=name)


def _key(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def _explain(err: OSError, path: Path) -> StudioError:
    if is_no_space(err):
        return no_space(err, None, path)
    return BadInput(
        f"The folder of the voice {path.name!r} cannot be changed: {err.strerror or err}.",
        "Close programs that use its files, check the permissions, and try again.",
        where=str(path),
    )
