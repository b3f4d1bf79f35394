"""The clips that a gate looks at: those of a voice's table, or the audio files in any folder."""

import contextlib
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.dataset.clips import Clip, ClipTable, clip_path
from core.dataset.importing import file_sha256
from core.errors import BadInput

if TYPE_CHECKING:
    from core.dataset.voices import Voice
    from core.jobs.context import JobContext

AUDIO_SUFFIXES = frozenset({
    ".wav", ".flac", ".mp3", ".m4a", ".aac", ".ogg", ".oga", ".opus", ".wma", ".aif", ".aiff", ".aifc", ".mp4", ".webm",
    ".mka", ".amr", ".caf", ".w64", ".au",
})  # fmt: skip
_TEXT_SUFFIXES = (".txt", ".lab")
_LONGEST_TEXT_BYTES = 64 << 10


@dataclass(frozen=True)
class Item:
    """One clip to judge. `name` is what people see; `clip` its row, where it has one."""

    id: str
    name: str
    path: Path
    sha256: str
    source: str
    text: str
    speaker: str
    clip: Clip | None = None


def voice_items(voice: "Voice") -> list[Item]:
    """The clips of a voice. Raises BadInput (none yet, damaged table)."""
    clips = ClipTable(voice).load()
    if not clips:
        raise BadInput(f"The voice {voice.name!r} has no clips.", "Prepare its recordings first.", where=voice.name)
    return [
        Item(c.id, Path(c.audio).name, clip_path(voice, c), c.sha256, c.source, c.text, voice.name, c) for c in clips
    ]


def folder_items(folder: Path, ctx: "JobContext") -> list[Item]:
    """The audio files below a folder, hidden ones left out; texts from its `train.jsonl`, or from a `.txt` or `.lab`
    beside a file. Raises BadInput (no folder, no audio in it)."""
    if not folder.is_dir():
        raise BadInput(f"{folder} is no folder.", "Name a voice, or a folder of audio files.", where=str(folder))
    paths = [
        path
        for path in sorted(folder.rglob("*"))
        if path.suffix.lower() in AUDIO_SUFFIXES
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
        and path.is_file()
    ]
    if not paths:
        raise BadInput(
            f"There is no audio in {folder}.", "Name a voice, or a folder of audio files.", where=str(folder)
        )
    rows = _manifest(folder)
    items = []
    for path in paths:
        ctx.check()
        name = path.relative_to(folder).as_posix()
        row = rows.get(path.resolve(), {})
        items.append(
            Item(
                # The content alone would not do: the same file may lie there twice, which is worth a finding.
                id=hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()[:16],
                name=name,
                path=path,
                sha256=file_sha256(path),
                source=str(row.get("source") or name),
                text=str(row.get("text") or _text_beside(path)),
                speaker=str(row.get("speaker") or ""),
            )
        )
    return items


def _manifest(folder: Path) -> dict[Path, dict[str, Any]]:
    """Rows of `train.jsonl` by audio file; a damaged line is left out, its file is judged without text."""
    rows: dict[Path, dict[str, Any]] = {}
    with contextlib.suppress(OSError):
        text = (folder / "train.jsonl").read_text(encoding="utf-8-sig", errors="replace")
        for line in text.split("\n"):  # splitlines would also part at marks that a text may hold, such as U+2028
            with contextlib.suppress(ValueError, KeyError, TypeError, RecursionError):
                row = json.loads(line)
                rows[(folder / row["audio"]).resolve()] = row
    return rows


def _text_beside(path: Path) -> str:
    for suffix in _TEXT_SUFFIXES:
        beside = path.with_suffix(suffix)
        with contextlib.suppress(OSError), open(beside, "rb") as handle:
            return handle.read(_LONGEST_TEXT_BYTES).decode("utf-8-sig", "replace").strip()
    return ""
