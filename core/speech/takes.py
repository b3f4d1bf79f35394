"""What was spoken, kept so that it can be heard, made again by its seed, and mended sentence by sentence.

A take is a folder below the outputs: `take.wav` (16-bit, at the engine's rate), `take.json`, and the reference clip it
was spoken with. A folder without take.json is one in the making, or left by a process that was ended.
"""

import secrets
import shutil
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from core import atomic
from core.errors import BadInput, Conflict, NotFound
from core.paths import inside, unique_path
from core.speech.chunk import Chunk
from core.speech.request import SpeechRequest

SOUND, ABOUT, CLIP = "take.wav", "take.json", "prompt"
_DRAFT = "take.pcm"
_TRASH = ".trash"
State = Literal["whole", "stopped"]


class Part(BaseModel):
    """One sentence in the sound: samples start..end (its pause before it included), its words, and its own seed if it
    was spoken again by itself."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    start: int = Field(ge=0)
    end: int = Field(ge=0)
    text: str
    seed: int | None = None


class Take(BaseModel):
    """What take.json holds. `prompt` is the clip's file name within the take; the request is what makes it again."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    created_at: float
    text: str
    engine: str
    model: str = ""
    voice: str | None = None
    prompt: str = ""
    prompt_text: str = ""
    denoise: bool = False
    normalize: bool = False
    options: dict[str, Any] = Field(default_factory=dict)
    seed: int
    sample_rate_hz: int = Field(gt=0)
    n_samples: int = Field(ge=0)
    first_s: float
    work_s: float
    state: State
    parts: list[Part]
    warnings: list[str] = Field(default_factory=list)
    made_from: str | None = None

    @property
    def seconds(self) -> float:
        """Length of the sound."""
        return self.n_samples / self.sample_rate_hz

    @property
    def rtf(self) -> float:
        """Seconds of work for a second of sound; above 1 it cannot be heard while it is made."""
        return self.work_s / max(self.seconds, 1e-9)


class TakeStore:
    """The takes of one workspace, in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def all(self, limit: int = 100) -> list[Take]:
        """Newest first; what cannot be read is left out."""
        if not self.folder.is_dir():
            return []
        found: list[Take] = []
        for path in sorted(self.folder.iterdir(), key=lambda one: one.name, reverse=True):
            if len(found) == limit:
                break
            if (path / ABOUT).is_file():
                try:
                    found.append(_read(path))
                except BadInput:
                    continue
        return found

    def get(self, take_id: str) -> Take:
        """One take. Raises NotFound, BadInput (damaged)."""
        path = inside(self.folder, self.folder / take_id)
        if path == self.folder or not (path / ABOUT).is_file():
            raise NotFound(f"There is no take {take_id[:60]!r}.", "Choose another.", where="take")
        return _read(path)

    def sound(self, take: Take) -> Path:
        """The file of a take's sound."""
        return self.folder / take.id / SOUND

    def delete(self, take_id: str) -> None:
        """Move a take to the trash beside the others. Raises NotFound, BadInput."""
        take = self.get(take_id)
        trash = self.folder / _TRASH
        trash.mkdir(exist_ok=True)
        (self.folder / take.id).rename(unique_path(trash / take.id))

    def request(self, take: Take, seed: int | None = None) -> SpeechRequest:
        """What says the same again; with another `seed` it says it differently."""
        return SpeechRequest(
            text=take.text,
            engine=take.engine,
            model=take.model,
            voice=take.voice,
            prompt_audio=self.folder / take.id / take.prompt if take.prompt else None,
            prompt_text=take.prompt_text,
            denoise=take.denoise,
            normalize=take.normalize,
            options={**take.options, "seed": take.seed if seed is None else seed},
        )

    def begin(self, request: SpeechRequest) -> "Recorder":
        """Record a request while it is spoken. Raises NoSpace, BadInput (the clip is gone)."""
        return Recorder(self.folder / _new_id(), request)

    def begin_again(self, take: Take, number: int, seed: int) -> "Recorder":
        """Record sentence `number` of a take, spoken again: the new take is the old one with it in its place.

        Raises NotFound (no such sentence), NoSpace.
        """
        if not 0 <= number < len(take.parts):
            raise NotFound(f"The take has no sentence {number + 1}.", f"It has {len(take.parts)}.", where="sentence")
        request = self.request(take, seed)
        said = replace(request, text=take.parts[number].text)
        return Recorder(self.folder / _new_id(), said, mended=(self, take, number))


@dataclass
class Recorder:
    """A take in the making: `feed` every chunk, then `finish`; leaving the block without that throws it away."""

    folder: Path
    request: SpeechRequest
    mended: "tuple[TakeStore, Take, int] | None" = None
    parts: list[Part] = field(default_factory=list)
    n_samples: int = 0
    rate_hz: int = 0
    _file: IO[bytes] | None = None
    _began: float = 0.0
    _first_s: float = 0.0

    @property
    def id(self) -> str:
        """The take's."""
        return self.folder.name

    def __enter__(self) -> Self:
        """Raises NoSpace, BadInput (the clip is gone)."""
        self.folder.mkdir(parents=True)
        clip = self.request.prompt_audio
        if clip is not None:
            if not clip.is_file():
                raise BadInput(f"The clip {clip.name} is gone.", "Choose it again.", where="prompt_audio")
            atomic.write_bytes(self.folder / f"{CLIP}{clip.suffix.lower()}", clip.read_bytes())
        self._file = open(self.folder / _DRAFT, "wb")
        self._began = time.monotonic()
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()
        if not (self.folder / ABOUT).is_file():
            shutil.rmtree(self.folder, ignore_errors=True)

    def feed(self, chunk: Chunk) -> bytes:
        """Keep a chunk; returns its samples as 16-bit little-endian, which is how the take holds them."""
        from core.audio.encode import to_int16

        assert self._file is not None
        data = to_int16(chunk.audio).astype("<i2", copy=False).tobytes()
        if data and not self._first_s:
            self._first_s = time.monotonic() - self._began
        self._file.write(data)
        self.rate_hz = chunk.sample_rate_hz
        start, self.n_samples = self.n_samples, self.n_samples + chunk.audio.size
        if len(self.parts) <= chunk.sentence:
            self.parts.append(Part(start=start, end=self.n_samples, text=chunk.text))
        else:
            kept = self.parts[-1]
            self.parts[-1] = kept.model_copy(update={"end": self.n_samples, "text": chunk.text or kept.text})
        return data

    def finish(self, seed: int, warnings: list[str], state: State = "whole") -> Take:
        """Write the take. Raises Conflict (nothing was said), NoSpace."""
        from core.audio.encode import write_audio

        assert self._file is not None
        self._file.close()
        if not self.n_samples:
            raise Conflict("Nothing was said.", "Speak again.", where="take")
        work_s = time.monotonic() - self._began
        samples: NDArray[np.int16] = np.memmap(self.folder / _DRAFT, "<i2", "r")
        parts = self.parts
        if self.mended is not None:
            store, old, number = self.mended
            samples, parts = _mended(store, old, number, samples, seed)
        write_audio(self.folder / SOUND, samples.astype(np.float32) / 32768.0, self.rate_hz)
        take = self._take(seed, warnings, state, samples.size, parts, work_s)
        del samples  # Windows removes no file that is mapped
        (self.folder / _DRAFT).unlink()
        atomic.write_text(self.folder / ABOUT, take.model_dump_json(indent=1))
        return take

    def _take(
        self, seed: int, warnings: list[str], state: State, n_samples: int, parts: list[Part], work_s: float
    ) -> Take:
        said, clip = self.request, self.request.prompt_audio
        old = self.mended[1] if self.mended is not None else None
        return Take(
            id=self.id,
            created_at=time.time(),
            text=old.text if old else said.text,
            engine=said.engine,
            model=said.model,
            voice=said.voice,
            prompt=f"{CLIP}{clip.suffix.lower()}" if clip is not None else "",
            prompt_text=said.prompt_text,
            denoise=said.denoise,
            normalize=said.normalize,
            options={key: value for key, value in said.options.items() if key != "seed"},
            seed=old.seed if old else seed,
            sample_rate_hz=self.rate_hz,
            n_samples=n_samples,
            first_s=round(self._first_s, 4),
            work_s=round(work_s, 4),
            state=state,
            parts=parts,
            warnings=warnings,
            made_from=old.id if old else None,
        )


def _mended(
    store: TakeStore, old: Take, number: int, spoken: NDArray[np.int16], seed: int
) -> tuple[NDArray[np.int16], list[Part]]:
    """The sound of a take with one sentence replaced, and where its sentences lie now."""
    import soundfile

    kept, _ = soundfile.read(store.sound(old), dtype="int16")
    gone = old.parts[number]
    voiced = np.flatnonzero(kept[gone.start : gone.end])
    pause = kept[gone.start : gone.start + (voiced[0] if number and voiced.size else 0)]  # exact zeros, as it was made
    spoken = np.concatenate([pause, spoken])
    sound = np.concatenate([kept[: gone.start], spoken, kept[gone.end :]])
    moved = spoken.size - (gone.end - gone.start)
    after = [
        one.model_copy(update={"start": one.start + moved, "end": one.end + moved}) for one in old.parts[number + 1 :]
    ]
    new = gone.model_copy(update={"end": gone.start + spoken.size, "seed": seed})
    return sound, [*old.parts[:number], new, *after]


def _read(path: Path) -> Take:
    try:
        take = Take.model_validate_json((path / ABOUT).read_bytes())
    except (OSError, ValidationError) as err:
        raise BadInput(f"The take {path.name} cannot be read.", "Delete its folder.", where=str(path)) from err
    return take.model_copy(update={"id": path.name})  # the folder's name is what finds it


def _new_id() -> str:
    """Sorts by time, and no two are alike."""
    return f"{time.strftime('%Y%m%d-%H%M%S')}-{time.time_ns() % 10**9:09d}-{secrets.token_hex(3)}"
