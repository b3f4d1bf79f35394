"""The table of a voice's clips: `sliced_audio/clips.jsonl`, one JSON object a line, written atomically."""

import contextlib
import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from pydantic import ConfigDict, TypeAdapter, ValidationError, with_config

from core import atomic
from core.errors import BadInput, Conflict, NotFound

if TYPE_CHECKING:
    from core.dataset.voices import Voice

Verdict = Literal["accepted", "review", "rejected"]
VERDICTS: tuple[str, ...] = get_args(Verdict)
SILENCE_LUFS = -70.0
"""Stands for "no loudness": silence, or less than 400 ms. JSON has no infinity."""
SILENCE_DB = -120.0
"""Stands for the level of digital silence."""
_LOCK_PATIENCE_S = 10.0


@with_config(ConfigDict(extra="forbid"))
@dataclass(frozen=True)
class Clip:
    """One training utterance.

    `audio`: path relative to the voice's folder. `source`: its recording, relative to `raw_audio`; `start_s`, `end_s`
    the place in it. `lufs`, `peak_db` (dBFS), `snr_db` and `clipped_fraction` (0..1) describe the recording there,
    before its level was changed. `sha256`: of the audio file. `reasons`: codes of `core.dataset.verdict.REASONS`.
    `by_user`: the verdict is a person's, not the figures'. `speaker`, `language` (a code like "zh"): empty where nobody
    said so.
    """

    id: str
    audio: str
    source: str
    start_s: float
    end_s: float
    duration_s: float
    lufs: float
    peak_db: float
    snr_db: float
    clipped_fraction: float
    sha256: str
    text: str = ""
    verdict: Verdict = "accepted"
    reasons: list[str] = field(default_factory=list)
    by_user: bool = False
    speaker: str = ""
    language: str = ""


_ADAPTER = TypeAdapter(Clip)


class ClipTable:
    """Reads and changes the table of one voice. Changes by several threads or processes follow one another."""

    def __init__(self, voice: "Voice") -> None:
        self.voice = voice
        self.path = voice.sliced / "clips.jsonl"

    def load(self) -> list[Clip]:
        """All clips in order; none before the first preparation. Raises BadInput if the table is damaged."""
        try:
            text = self.path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return []
        except UnicodeDecodeError as err:
            raise self._damaged(1) from err
        clips: list[Clip] = []
        for number, line in enumerate(text.split("\n"), start=1):
            if line.strip():
                try:
                    clips.append(_ADAPTER.validate_json(line))
                except ValidationError as err:
                    raise self._damaged(number) from err
        return clips

    def _damaged(self, line: int) -> BadInput:
        return BadInput(
            f"The table of clips of the voice {self.voice.name!r} is damaged in line {line}.",
            "Prepare the voice again; its recordings are not touched by this.",
            where=str(self.path),
        )

    def save(self, clips: Sequence[Clip]) -> None:
        """Replace the table and the manifest. Raises NoSpace (the old table stays), Conflict (locked too long)."""
        with self._locked():
            self._write(clips)

    def update(self, change: Callable[[list[Clip]], list[Clip]]) -> list[Clip]:
        """Load, change and save as one step; returns the new clips. Raises as `load`, `save` and `change` do."""
        with self._locked():
            clips = change(self.load())
            self._write(clips)
            return clips

    def set_verdict(self, ids: Iterable[str], verdict: str) -> list[Clip]:
        """Give clips a person's verdict, which later preparations keep. Raises BadInput, NotFound (unknown ids)."""
        chosen = next((known for known in get_args(Verdict) if known == verdict), None)
        if chosen is None:
            raise BadInput(f"{verdict!r} is no verdict.", f"Use one of {', '.join(VERDICTS)}.", where="verdict")
        wanted = set(ids)

        def change(clips: list[Clip]) -> list[Clip]:
            missing = wanted - {clip.id for clip in clips}
            if missing:
                raise NotFound(
                    f"There is no clip {sorted(missing)[0]} (and {len(missing) - 1} more)."
                    if len(missing) > 1
                    else f"There is no clip {sorted(missing)[0]}.",
                    "The voice was prepared again meanwhile: look at the new table.",
                    where=str(self.path),
                )
            return [replace(c, verdict=chosen, by_user=True) if c.id in wanted else c for c in clips]

        return self.update(change)

    def _write(self, clips: Sequence[Clip]) -> None:
        from core.dataset.manifest import manifest_with

        lines = [json.dumps(asdict(clip), ensure_ascii=False, allow_nan=False) for clip in clips]
        with manifest_with(self.voice, clips):
            atomic.write_text(self.path, "".join(line + "\n" for line in lines))

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the table against other threads and processes."""
        from core.jobs.lock import WorkspaceLock

        lock = WorkspaceLock(self.path.with_name(".clips.lock"))
        deadline = time.monotonic() + _LOCK_PATIENCE_S
        while True:
            try:
                lock.acquire()
                break
            except Conflict as err:
                if time.monotonic() > deadline:
                    raise Conflict(
                        f"The clips of the voice {self.voice.name!r} are being changed by another process.",
                        "Try again in a moment.",
                        where=str(self.path),
                    ) from err
                time.sleep(0.05)
        try:
            yield
        finally:
            lock.release()


def clip_path(voice: "Voice", clip: Clip) -> Path:
    """Where a clip's audio lies."""
    return voice.path / clip.audio
