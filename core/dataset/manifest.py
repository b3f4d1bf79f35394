"""`train.jsonl`: the accepted clips of a voice in the form that training tools of several projects read."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from core import atomic

if TYPE_CHECKING:
    from core.dataset.clips import Clip
    from core.dataset.voices import Voice


def manifest_path(voice: "Voice") -> Path:
    """Where a voice's manifest lies."""
    return voice.path / "train.jsonl"


def write_manifest(voice: "Voice", clips: "Sequence[Clip] | None" = None) -> Path:
    """Write one object a line for every accepted clip: `audio` (absolute path), `text`, `duration` (seconds).

    `clips` defaults to the voice's table. Raises NoSpace, BadInput (damaged table).
    """
    if clips is None:
        from core.dataset.clips import ClipTable

        clips = ClipTable(voice).load()
    root = voice.path.resolve()
    rows = [
        {"audio": str(root / clip.audio), "text": clip.text, "duration": round(clip.duration_s, 4)}
        for clip in clips
        if clip.verdict == "accepted"
    ]
    path = manifest_path(voice)
    atomic.write_text(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    return path
