"""Characters: voices as the character service sees them. The facade of its routes, behind `Studio.characters`.

Light to import. Every method that takes a name raises NotFound for an unknown one.
"""

import math
import shutil
import time
import unicodedata
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core import atomic, device, summaries
from core.dataset.importing import file_sha256
from core.errors import BadInput, Conflict, NotFound
from core.jobs.model import ACTIVE, Job, State
from core.paths import inside, safe_name, unique_path
from core.service import character as stored
from core.service import status
from core.service.character import Character, iso
from core.service.errors import Busy
from core.service.languages import code_of
from core.service.models import (
    AudioFileInfo,
    AudioProcessingInfo,
    CharacterConfig,
    CharacterInfo,
    CheckInfo,
    TrainingInfo,
)  # fmt: skip
from core.service.state import ServiceState
from core.training import runs

if TYPE_CHECKING:
    from core.dataset.voices import Voice
    from core.jobs.queue import JobQueue
    from core.service.spoken import InferenceDesk
    from core.studio import Studio

_DEFAULT = "default_character"
_REMEMBERED = 1000  # jobs of one voice that are looked through
_CLIPS_A_ROUND = 100
_DOWNLOADS = ("raw_audio", "converted_audio", "sliced_audio", "denoised_audio", "transcripts", "models")


class CharacterDesk:
    """`jobs` gives the studio's open queue."""

    def __init__(self, studio: "Studio", jobs: "Callable[[], JobQueue]") -> None:
        self.studio, self.settings, self._jobs = studio, studio.settings, jobs
        self.state = ServiceState(studio.settings.workspace / "service.sqlite3")

    @property
    def inferences(self) -> "InferenceDesk":
        """What characters speak."""
        from core.service.spoken import InferenceDesk

        return InferenceDesk(self, self._jobs)

    # -- what the parts share

    def voice(self, name: str) -> "Voice":
        """The voice of a character."""
        from core.dataset.voices import VoiceStore

        return VoiceStore(self.settings.voices_dir).get(name)

    def voices(self) -> "list[Voice]":
        """All of them, by name."""
        from core.dataset.voices import VoiceStore

        return VoiceStore(self.settings.voices_dir).list()

    def jobs_of(self, name: str) -> list[Job]:
        """The jobs of a character, newest first."""
        return self._jobs().store.list(_REMEMBERED, voice=name)

    def submit(self, name: str, kind: str, params: dict[str, Any], *, not_beside: tuple[str, ...] | None) -> Job:
        """Queue a job, unless one of the kinds `not_beside` (None: any) is active. Raises Busy.

        Looking and queueing are one step: of two requests at once, one gets the job and the other Busy.
        """
        with self.state.exclusive():
            self.refuse_while_busy(name, not_beside)
            return self._jobs().submit(kind, params, name)

    def start_job(self, kind: str, params: dict[str, Any]) -> Job:
        """Queue a job that answers one request."""
        return self._jobs().submit(kind, params, params.get("voice"))

    def job_counts(self, states: tuple[State, ...]) -> dict[str, int]:
        """How many jobs are in each of these states."""
        return {state: self._jobs().store.count(state) for state in states}

    def refuse_without_model(self, name: str) -> None:
        """Raises NotFound (character), Conflict (it has no trained model)."""
        if not status.trained(self.voice(name)):
            raise Conflict(f"The character {name!r} has no trained model.", "Train it first.", where=name)

    def clones(self, name: str) -> bool:
        """Whether the character speaks by an engine that copies the voice of a reference."""
        return next((model.engine == "voxcpm" for model in status.trained(self.voice(name))), False)

    def refuse_while_busy(self, name: str, kinds: tuple[str, ...] | None = None) -> None:
        """Raises Busy while a job of these kinds (None: any) works on the character."""
        for job in self._jobs().store.list(_REMEMBERED, states=ACTIVE, voice=name):
            if kinds is None or job.kind in kinds:
                raise Busy(job, name)

    # -- characters

    def create(self, name: str, config: CharacterConfig) -> CharacterInfo:
        """Make a character; the first one becomes the default. Raises BadInput (name), Conflict (taken), NoSpace."""
        name = _checked(name)
        first = not self.voices()
        voice = self.studio.create_voice(name)
        now = time.time()
        config = config.model_copy(update={"character_name": name})
        made = stored.write(voice, Character("", config, now, now))
        if first or self.default() is None:
            self.state.remember(_DEFAULT, made.id)
        return self.info(name)

    def all(self) -> list[CharacterInfo]:
        """All characters by name."""
        chosen = self.default()
        return [self._info(voice, chosen) for voice in self.voices()]

    def info(self, name: str) -> CharacterInfo:
        """One character."""
        return self._info(self.voice(name), self.default())

    def _info(self, voice: "Voice", chosen: str | None) -> CharacterInfo:
        character, jobs = stored.read(voice), self.jobs_of(voice.name)
        audio = status.audio_info(voice, character, jobs)
        training = status.training_info(voice, character, jobs, self.settings.runs, audio)
        return CharacterInfo(
            character_name=voice.name,
            config=character.config,
            created_at=iso(character.created_at) or "",
            updated_at=iso(character.updated_at) or "",
            audio_count=len(status.recordings(voice)),
            audio_processing_status=audio.status,
            training_status=training.status,
            model_exists=bool(status.trained(voice)),
            is_default=voice.name == chosen,
        )

    def rename(self, name: str, new_name: str) -> CharacterInfo:
        """Give a character another name; all of it moves along. Raises BadInput, Conflict (taken), Busy."""
        new_name = _checked(new_name)
        with self.state.exclusive():
            self.voice(name)
            self.refuse_while_busy(name)
            voice = self.studio.rename_voice(name, new_name)
        stored.write(voice, stored.read(voice))
        return self.info(voice.name)

    def delete(self, name: str) -> None:
        """Move a character, its runs and what it spoke to the trash beside the voices. Raises Busy."""
        from core.removal import delete_voice

        with self.state.exclusive():
            voice = self.voice(name)
            self.refuse_while_busy(name)
            spoken = [(key, job) for key, job in self._spoken() if job.voice == voice.name]
            grave = delete_voice(self.settings, self._jobs().store, voice.name)
        for key, job in spoken:
            self.state.forget_inference(key)
            for path in (Path(job.params["out"]), Path(job.params["out"] + ".json")):
                if path.is_file():
                    (grave / "spoken").mkdir(exist_ok=True)
                    shutil.move(path, unique_path(grave / "spoken" / path.name))

    def _spoken(self) -> list[tuple[str, Job]]:
        found = []
        for key, number in self.state.inferences(100_000):
            try:
                found.append((key, self._jobs().store.get(number)))
            except NotFound:
                continue
        return found

    def default(self) -> str | None:
        """Name of the default character; the first one where the chosen one is gone."""
        wanted = self.state.fact(_DEFAULT)
        voices = self.voices()
        chosen = next((voice for voice in voices if wanted and stored.read(voice).id == wanted), None)
        return chosen.name if chosen else voices[0].name if voices else None

    def set_default(self, name: str) -> None:
        """Make a character the default."""
        voice = self.voice(name)
        character = stored.read(voice)
        self.state.remember(_DEFAULT, (character if character.id else stored.write(voice, character)).id)

    # -- audio

    def add_audio(self, name: str, path: Path) -> Path:
        """Take a copy of a sound file; returns it, or the one of the same content that is there. Raises BadInput."""
        voice = self.voice(name)
        report = self.studio.add_recordings(name, [path])
        if report.added:
            return report.added[0]
        size, digest = path.stat().st_size, file_sha256(path)
        for known in status.recordings(voice):
            if known.stat().st_size == size and file_sha256(known) == digest:
                return known
        why = report.skipped[0][1] if report.skipped else "It holds nothing."
        raise BadInput(f"{path.name} was not taken. {why}", where="file")

    def audio_files(self, name: str) -> list[AudioFileInfo]:
        """The recordings of a character."""
        voice = self.voice(name)
        found = []
        for one in summaries.recordings_of(voice):
            stat = one.path.stat()
            found.append(
                AudioFileInfo(
                    filename=one.path.relative_to(voice.raw).as_posix(),
                    file_path=one.path.relative_to(voice.path).as_posix(),
                    file_size=one.size_bytes,
                    created_at=iso(stat.st_mtime) or "",
                    modified_at=iso(stat.st_mtime) or "",
                    duration=one.duration_s,
                )
            )
        return found

    def recording(self, name: str, filename: str) -> Path:
        """A recording by its name, or by its path in the character's folder as an upload gives it. Raises NotFound."""
        voice = self.voice(name)
        for path in status.recordings(voice):
            if filename in (path.relative_to(voice.raw).as_posix(), path.relative_to(voice.path).as_posix()):
                return inside(voice.path, path)
        raise NotFound(f"The character {name!r} has no audio file {filename!r}.", "List its files.", where=filename)

    def reference(self, name: str, filename: str) -> tuple[Path, str]:
        """A recording or clip that lends its voice, and what is said in it where that is known. Raises NotFound."""
        voice = self.voice(name)
        for clip in self.studio.clips(name):
            path = voice.path / clip.audio
            if filename in (clip.audio, path.name) and path.is_file():
                return inside(voice.path, path), clip.text.strip()
        return self.recording(name, filename), ""

    def delete_audio(self, name: str, filename: str) -> None:
        """Move a recording to the trash. Clips made of it stay until the next processing; the status says so."""
        path = self.recording(name, filename)
        grave = self.settings.voices_dir / ".trash" / f"{name} recordings"
        grave.mkdir(parents=True, exist_ok=True)
        path.rename(unique_path(grave / path.name))
        atomic.fsync_folder(path.parent)

    def process(self, name: str) -> AudioProcessingInfo:
        """Queue the making of clips. Raises Busy, Conflict (no recordings)."""
        voice = self.voice(name)
        config = stored.read(voice).config
        if not status.recordings(voice):
            raise Conflict(f"The character {name!r} has no audio files.", "Upload some first.", where=name)
        params = {"voice": name, "denoise": config.enable_denoise, "language": code_of(config.language)}
        self.submit(name, status.AUDIO_JOB, params, not_beside=(*status.AUDIO_KINDS, "clean", status.TRAIN_KIND))
        return self.audio_status(name)

    def audio_status(self, name: str) -> AudioProcessingInfo:
        """How far the audio is."""
        voice = self.voice(name)
        return status.audio_info(voice, stored.read(voice), self.jobs_of(name))

    def audio_check(self, name: str) -> CheckInfo:
        """What the files say of the audio."""
        voice = self.voice(name)
        made_at = status.clips_made_at(stored.read(voice), self.jobs_of(name))
        return status.check(name, status.audio_files(voice, made_at))

    # -- training

    def train(self, name: str) -> TrainingInfo:
        """Queue a training on the clips. Raises Busy, Conflict (not processed, or outdated; pre-flight says no).

        One that was cut off or cancelled goes on from what it had saved, if nothing changed since.
        """
        audio = self.audio_status(name)
        if audio.status == "running":
            raise Busy(self.studio.job(audio.job_id or 0), name)
        if audio.status != "completed":
            raise Conflict(
                f"The audio of {name!r} is {audio.status}. {audio.error_message or ''}".strip(),
                "Process it first: POST …/audio/process.",
                where=name,
            )
        options = self._train_options(name)
        with self.state.exclusive():
            self.refuse_while_busy(name, (*status.AUDIO_KINDS, "clean", status.TRAIN_KIND))
            last = status.latest(self.jobs_of(name), (status.TRAIN_KIND,), stored.read(self.voice(name)).trained_since)
            if last is not None and last.state in ("interrupted", "cancelled") and last.params == options:
                self.studio.retry(last.id)
            else:
                self.studio.train(options)
        return self.training_status(name)

    def _train_options(self, name: str) -> dict[str, Any]:
        config = stored.read(self.voice(name)).config
        clips = sum(clip.verdict == "accepted" for clip in self.studio.clips(name))
        a_round = math.ceil(max(clips, _CLIPS_A_ROUND) / config.batch_size)
        steps = config.steps or config.epochs_s2 * a_round
        gpus = config.gpu_id.replace("-", ",")
        several = "," in gpus and device.pick(self.settings.device) != "cpu"
        return {
            "voice": name,
            "engine": config.engine,
            "preset": config.preset,
            **({"devices": gpus} if several else {}),
            **self._own_base(config.engine),
            "batch_size": config.batch_size,
            "steps": steps,
            "save_every_steps": min(500, steps),
            "log_every_steps": max(1, min(20, steps // 20)),
        }

    def _own_base(self, engine: str) -> dict[str, str]:
        """The model that the settings name, where it is one that this engine fine-tunes."""
        if not self.settings.speech_model:
            return {}
        own, folder = self.studio.speech.service.own_model()
        return {"base": str(folder)} if own == engine else {}

    def training_status(self, name: str) -> TrainingInfo:
        """How far the training is."""
        voice = self.voice(name)
        character, jobs = stored.read(voice), self.jobs_of(name)
        audio = status.audio_info(voice, character, jobs)
        return status.training_info(voice, character, jobs, self.settings.runs, audio)

    def training_check(self, name: str) -> CheckInfo:
        """What the files say of the training."""
        voice = self.voice(name)
        audio = self.audio_check(name).status
        return status.check(name, status.training_files(voice, self.settings.runs, audio))

    def clean_training(self, name: str) -> int:
        """Move the character's models and runs to the trash; returns how many models. Raises Busy."""
        from core.training.desk import TrainingDesk

        with self.state.exclusive():
            voice = self.voice(name)
            self.refuse_while_busy(name)
            stored.write(voice, replace(stored.read(voice), trained_since=time.time()))
            for run in runs.list_runs(self.settings.runs, name):
                TrainingDesk(self.settings).delete(run.name)
            models = status.trained(voice)
            for model in models:
                grave = self.settings.voices_dir / ".trash" / f"{name} models"
                grave.mkdir(parents=True, exist_ok=True)
                model.path.rename(unique_path(grave / model.path.name))
        return len(models)

    def cancel(self, name: str, kinds: tuple[str, ...]) -> Job:
        """Ask the active job of these kinds to stop. Raises Conflict if there is none."""
        self.voice(name)
        for job in self._jobs().store.list(_REMEMBERED, states=ACTIVE, voice=name):
            if job.kind in kinds:
                return self._jobs().cancel(job.id)
        raise Conflict(f"Nothing of this kind runs for {name!r}.", "Ask for its status.", where=name)

    def download(self, name: str, filename: str) -> Path:
        """A character's file, by its path in the character's folder or by its name alone.

        Recordings, clips, cleaned audio, transcripts, models and what it spoke; nothing else. Raises NotFound.
        """
        voice = self.voice(name)
        root = voice.path.resolve()
        for place in ("", *_DOWNLOADS):
            try:
                path = inside(root, root / place / filename)
                there = path.is_file()
            except (BadInput, OSError):  # OSError: no file can have so long a name
                continue
            parts = path.relative_to(root).parts
            if there and parts[0] in _DOWNLOADS and not any(part.startswith(".") for part in parts):
                return path
        for _, job in self._spoken():
            if job.voice == voice.name and job.state == "completed" and Path(job.params["out"]).name == filename:
                return Path(job.params["out"])
        raise NotFound(f"The character {name!r} has no file {filename!r}.", "List its files.", where=filename)


def _checked(name: str) -> str:
    """The name as it is stored. Raises BadInput."""
    plain = unicodedata.normalize("NFC", name)
    bare = plain.replace("_", "").replace("-", "")
    if not bare.isalnum() or safe_name(plain) != plain:
        raise BadInput(
            f"{name[:100]!r} cannot be a character's name.",
            "Use letters and digits of any language, '_' and '-', 80 of them at most.",
            where="character_name",
        )
    return plain
