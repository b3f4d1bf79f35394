"""`train.jsonl`: the accepted clips of a voice in the form that training tools of several projects read."""

import contextlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core import atomic

if TYPE_CHECKING:
    from core.dataset.clips import Clip
    from core.dataset.voices import Voice


def manifest_path(voice: "Voice") -> Path:
    """Where a voice's manifest lies."""
    return voice.path / "train.jsonl"


def write_manifest(voice: "Voice", clips: "Sequence[Clip] | None" = None) -> Path:
    """Write one object a line for every accepted clip: `audio` (absolute path), `text`, `duration` (seconds), and
    `speaker` and `language` where they are known.

    `clips` defaults to the voice's table. Raises NoSpace, BadInput (damaged table).
    """
    if clips is None:
        from core.dataset.clips import ClipTable

        clips = ClipTable(voice).load()
    with manifest_with(voice, clips):
        pass
    return manifest_path(voice)


@contextlib.contextmanager
def manifest_with(voice: "Voice", clips: "Sequence[Clip]") -> Iterator[None]:
    """The manifest is on the disk before the block and takes its place after it; if the block fails, the old one stays.

    So the table, which is written in the block, and the manifest change both or neither. Raises NoSpace, BadInput.
    """
    root = voice.path.resolve()
    rows = [_row(root, clip) for clip in clips if clip.verdict == "accepted"]
    with atomic.file(manifest_path(voice)) as temp:
        temp.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8", newline="\n")
        atomic.fsync_file(temp)
        yield


def _row(root: Path, clip: "Clip") -> dict[str, Any]:
    row: dict[str, Any] = {
        "audio": str(root / clip.audio),
        "text": clip.text,
        "duration": round(clip.duration_s, 4),
        "speaker": clip.speaker,
        "language": clip.language,
    }
    return {key: value for key, value in row.items() if value or key not in ("speaker", "language")}
