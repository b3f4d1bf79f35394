"""The clip of a voice that is the best reference for its speech. Light."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import BadInput
from core.paths import inside

if TYPE_CHECKING:
    from core.dataset.clips import Clip
    from core.dataset.voices import Voice

_BEST_S = 8.0
_FOLDER, _REFERENCE = "prompts", "reference.json"
_SHORTEST_S, _LONGEST_S = 2.0, 30.0


def rank(clips: "list[Clip]", *, with_text: bool = True) -> "list[Clip]":
    """Clips that can be a reference, the best first: accepted, clean, unclipped, about eight seconds long."""

    def score(clip: "Clip") -> float:
        clipped = min(20.0, clip.clipped_fraction * 2e4)
        return min(clip.snr_db, 40.0) - 3.0 * abs(clip.duration_s - _BEST_S) - clipped

    usable = [
        clip
        for clip in clips
        if clip.verdict == "accepted"
        and _SHORTEST_S <= clip.duration_s <= _LONGEST_S
        and (clip.text.strip() or not with_text)
    ]
    return sorted(usable, key=score, reverse=True)


def set_reference(voice: "Voice", clip: Path, text: str) -> Path:
    """Make a clip the reference that `best_clip` gives, whatever other clips the voice has. Returns the kept copy.

    Raises BadInput: no sound, silent, too short or too long.
    """
    from core import atomic
    from core.speech.prompt import read_clip

    read_clip(clip, 16000)
    kept = voice.path / _FOLDER / f"reference{clip.suffix.lower()}"
    kept.parent.mkdir(exist_ok=True)
    atomic.write_bytes(kept, clip.read_bytes())
    atomic.write_json(kept.parent / _REFERENCE, {"clip": kept.name, "text": text.strip()})
    return kept


def clear_reference(voice: "Voice") -> None:
    """Let the best clip be chosen again."""
    (voice.path / _FOLDER / _REFERENCE).unlink(missing_ok=True)


def _chosen(voice: "Voice") -> "tuple[Path, str] | None":
    try:
        data = json.loads((voice.path / _FOLDER / _REFERENCE).read_text("utf-8"))
        path = inside(voice.path, voice.path / _FOLDER / str(data["clip"]))
        return (path, str(data["text"])) if path.is_file() else None
    except (OSError, ValueError, KeyError, TypeError, BadInput):
        return None


def best_clip(voice: "Voice", *, with_text: bool = True) -> "tuple[Path, str]":
    """The file and transcript of the reference: the one that was chosen, else the best. Raises BadInput where the
    voice has none."""
    from core.dataset.clips import ClipTable, clip_path

    chosen = _chosen(voice)
    if chosen is not None and (chosen[1] or not with_text):
        return chosen
    clips = ClipTable(voice).load()
    for clip in rank(clips, with_text=with_text):
        path = clip_path(voice, clip)
        if path.is_file():
            return path, clip.text.strip()
    if with_text and rank(clips, with_text=False):
        raise BadInput(
            f"The clips of the voice {voice.name!r} have no transcripts.",
            "Transcribe and slice its recordings, or name a clip and what is said in it.",
            where=voice.name,
        )
    raise BadInput(
        f"The voice {voice.name!r} has no accepted clip of {_SHORTEST_S:g} to {_LONGEST_S:g} seconds.",
        "Prepare its recordings first, or name a reference clip.",
        where=voice.name,
    )
