"""The clips that a fine-tuning is given, before anything is decoded: those of a voice, or of a manifest. Light."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import BadInput

if TYPE_CHECKING:
    from core.dataset.voices import Voice


@dataclass(frozen=True)
class Line:
    """One clip to learn from: its sound, what is said in it, and another clip of the voice as reference (VoxCPM 2)."""

    id: str
    audio: Path
    text: str
    reference: Path | None = None


def read_manifest(path: str | Path) -> tuple[list[Line], list[tuple[str, str]]]:
    """Clips of a train.jsonl (one object a line: `audio`, `text`, and `ref_audio` or null; others are passed over),
    and (place, why) of the lines that are not clips.

    Relative paths are meant from the manifest's folder. Raises BadInput: no such file, or no clip in it.
    """
    file = Path(path)
    try:
        text = file.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as err:
        raise BadInput(f"The manifest {file} cannot be read.", "Check the path.", where=str(file)) from err
    lines: list[Line] = []
    left_out: list[tuple[str, str]] = []
    for number, row in enumerate(text.split("\n"), start=1):
        if row.strip():
            made = _line(row, file, number)
            if isinstance(made, Line):
                lines.append(made)
            else:
                left_out.append((f"{file.name}:{number}", made))
    if not lines:
        why = f" ({left_out[0][1]})" if left_out else ""
        raise BadInput(
            f"The manifest {file.name} names no clips{why}.",
            'Write one object a line, such as {"audio": "clips/1.wav", "text": "Hello."}.',
            where=str(file),
        )
    return lines, left_out


def _line(row: str, file: Path, number: int) -> Line | str:
    """A line of a manifest, or why it is none."""
    try:
        data = json.loads(row)
    except ValueError:
        return "it is not JSON"
    if not isinstance(data, dict) or not isinstance(data.get("audio"), str) or not data["audio"]:
        return "it names no audio"
    if not isinstance(data.get("text"), str):
        return "it has no text"
    if data.get("is_prompt"):
        return "is_prompt is set: nothing is learnt from it"
    reference = data.get("ref_audio")
    if reference is not None and not isinstance(reference, str):
        return "ref_audio is not a path"
    place = f"{number}-{Path(data['audio']).stem}"
    return Line(place, file.parent / data["audio"], data["text"], file.parent / reference if reference else None)


def voice_lines(voice: "Voice") -> list[Line]:
    """The accepted clips of a voice. Raises BadInput where there are none."""
    from core.dataset.clips import ClipTable, clip_path

    clips = [clip for clip in ClipTable(voice).load() if clip.verdict == "accepted"]
    if not clips:
        raise BadInput(f"The voice '{voice.name}' has no accepted clips.", "Prepare recordings and accept some clips.")
    return [Line(clip.id, clip_path(voice, clip), clip.text) for clip in clips]
