"""Studio: the one object that the page, the HTTP API and the command line call.

Light to import: whatever needs numpy, torch or a decoder is imported by the method that uses it.
"""

import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core import atomic, device, foreground, summaries
from core.checks import Check
from core.errors import BadInput, Conflict, NotFound, StudioError
from core.jobs.context import ForegroundContext
from core.jobs.handlers import HANDLERS, Handler
from core.jobs.model import ACTIVE, Job
from core.jobs.queue import JobQueue
from core.jobs.store import JobStore
from core.settings import Settings
from core.summaries import KeySuggestion, ModelSummary, RecordingInfo, RunSummary, SystemStatus, VoiceSummary
from core.training import runs as run_folders

if TYPE_CHECKING:
    from core.cutting.desk import CuttingDesk
    from core.dataset.clips import Clip
    from core.dataset.desk import DatasetDesk
    from core.dataset.history import Step
    from core.dataset.voices import ImportReport, Voice, VoiceStore
    from core.engines.sovits.convert_desk import ConversionDesk
    from core.models.desk import ModelsDesk
    from core.realtime.desk import LiveDesk
    from core.service.desk import CharacterDesk
    from core.song.desk import SongDesk
    from core.speech.desk import SpeechDesk
    from core.text_to_voice.desk import TextDesk
    from core.training.desk import TrainingDesk

__all__ = ["KeySuggestion", "ModelSummary", "RecordingInfo", "RunSummary", "Studio", "SystemStatus", "VoiceSummary"]

_log = logging.getLogger(__name__)


class Studio:
    """Voices, datasets, jobs and models of one workspace.

    Making one touches nothing on disk; the job database opens with the first call that needs it. Methods
    may be called from several threads. All raise the StudioError family.
    """

    def __init__(self, settings: Settings, handlers: Mapping[str, Handler] | None = None) -> None:
        """`handlers` replaces the kinds of jobs (for tests)."""
        self.settings = settings
        self._handlers: Mapping[str, Handler] = HANDLERS if handlers is None else handlers
        self._queue: JobQueue | None = None
        self._opening = threading.Lock()
        self._speech: SpeechDesk | None = None

    # -- life

    def start(self, url: str = "") -> list[Job]:
        """Begin to run jobs, and pick up those of an earlier studio. Returns the jobs found interrupted.

        `url` is what a second studio on this workspace is told. Raises Conflict if another studio has the
        workspace; reading, queueing jobs and `run_foreground` work all the same.
        """
        interrupted = self._jobs.start(url)
        threading.Thread(target=self._sweep, name="sweep", daemon=True).start()
        return interrupted

    def announce(self, url: str) -> None:
        """Tell a second studio where this one is, once its port is known."""
        self._jobs.announce(url)

    def close(self) -> None:
        """Stop running jobs from here. Workers that run go on; the next studio picks them up."""
        with self._opening:
            queue, self._queue = self._queue, None
        if queue is not None:
            queue.stop()
            queue.store.close()

    def _sweep(self) -> None:
        """Remove what a killed process left half-written."""
        for root in (self.settings.voices_dir, self.settings.outputs, self.settings.runs, self.settings.cache_dir):
            for path in atomic.sweep(root):
                _log.info("removed %s, left by a process that was ended", path)

    @property
    def _jobs(self) -> JobQueue:
        with self._opening:
            if self._queue is None:
                self._queue = JobQueue(JobStore(self.settings.database), self.settings, self._handlers)
            return self._queue

    # -- voices and recordings

    @property
    def _voices(self) -> "VoiceStore":
        from core.dataset.voices import VoiceStore

        return VoiceStore(self.settings.voices_dir)

    def voices(self) -> list[VoiceSummary]:
        """All voices by name."""
        runs = run_folders.list_runs(self.settings.runs)
        found = []
        for voice in self._voices.list():
            clips = summaries.clips_of(voice)
            accepted = [clip for clip in clips if clip.verdict == "accepted"]
            found.append(
                VoiceSummary(
                    name=voice.name,
                    minutes=sum(clip.duration_s for clip in accepted) / 60.0,
                    clips=len(clips),
                    accepted=len(accepted),
                    runs=sum(run.voice == voice.name for run in runs),
                    models=len(summaries.models_of(voice)),
                )
            )
        return found

    def create_voice(self, name: str) -> "Voice":
        """Make an empty voice; the name is made safe for a folder. Raises Conflict if it exists."""
        return self._voices.create(name)

    def rename_voice(self, name: str, new_name: str) -> "Voice":
        """Rename a voice, its runs and its jobs. Raises NotFound, Conflict (name taken, or a job works on it)."""
        self._refuse_while_busy(name)
        voice = self._voices.rename(name, new_name)
        for info in run_folders.list_runs(self.settings.runs, name):
            info.voice = voice.name
            info.options = {**info.options, "voice": voice.name}
            run_folders.open_run(self.settings.runs, info.name).write(info)
        self._jobs.store.rename_voice(name, voice.name)
        return voice

    def delete_voice(self, name: str) -> None:
        """Move a voice and its runs to their trash folders. Raises NotFound, Conflict (a job or a run works on it)."""
        from core.removal import delete_voice

        self._refuse_while_busy(name)
        delete_voice(self.settings, self._jobs.store, name)

    def _refuse_while_busy(self, voice: str, kind: str | None = None) -> None:
        jobs = self._jobs.store.list(limit=1000, states=ACTIVE, voice=voice)
        busy = [job for job in jobs if kind in (None, job.kind)]
        if busy:
            raise Conflict(
                f"Job {busy[0].id} ({busy[0].kind}) works on the voice {voice!r}.",
                "Wait until it ends, or cancel it.",
                where=voice,
            )

    def add_recordings(
        self, voice: str, paths: Iterable[Path], on_progress: Callable[[float, str], None] | None = None
    ) -> "ImportReport":
        """Copy recordings (files, or folders with all below) into a voice. Raises NotFound, NoSpace."""
        context = ForegroundContext(self.settings, on_progress)
        return self._voices.import_recordings(self._voices.get(voice), [Path(path) for path in paths], context)

    def recordings(self, voice: str) -> list[RecordingInfo]:
        """The imported recordings; one that cannot be read says why."""
        return summaries.recordings_of(self._voices.get(voice))

    # -- clips

    def prepare(self, voice: str, options: Mapping[str, Any] | None = None, files: Iterable[str] | None = None) -> Job:
        """Queue the making of clips from the recordings (all, or the named ones).

        Raises BadInput (see PrepareOptions), NotFound, Conflict (no recordings, or a training reads the clips).
        """
        from core.dataset.options import parse_options

        parse_options(dict(options or {}))
        name = self._voices.get(voice).name
        if not self.recordings(name):
            raise Conflict(f"The voice {name!r} has no recordings.", "Add some first.", where=name)
        self._refuse_while_busy(name, "train")
        params: dict[str, Any] = {"voice": name, "options": dict(options or {})}
        if files is not None:
            params["files"] = list(files)
        return self._jobs.submit("prep", params, name)

    def clips(self, voice: str) -> "list[Clip]":
        """The clips of a voice; empty before the first preparation."""
        return summaries.clips_of(self._voices.get(voice))

    def set_verdict(self, voice: str, ids: Iterable[str], verdict: str) -> None:
        """Keep or reject clips: "accepted", "rejected" or "review"; the choice survives another preparation."""
        from core.dataset.history import RecordedTable

        RecordedTable(self._voices.get(voice)).set_verdict(list(ids), verdict)

    def undo(self, voice: str) -> "Step":
        """Take back the last change of verdicts. Raises NotFound, Conflict (nothing to undo)."""
        from core.dataset import history

        return history.undo(self._voices.get(voice))

    def redo(self, voice: str) -> "Step":
        """Make the change again that was last taken back. Raises NotFound, Conflict (nothing to redo)."""
        from core.dataset import history

        return history.redo(self._voices.get(voice))

    def start_job(self, kind: str, voice: str, params: Mapping[str, Any]) -> Job:
        """Queue a job on a voice that has no method of its own: "qa" or "clean"; it checks its parameters itself."""
        return self._jobs.submit(kind, {**params, "voice": self._voices.get(voice).name}, voice)

    @property
    def cutting(self) -> "CuttingDesk":
        """Cues of recordings: transcribed, edited, cleaned, cut."""
        from core.cutting.desk import CuttingDesk

        return CuttingDesk(self.settings, self._voices, self._jobs, self._refuse_while_busy)

    @property
    def songs(self) -> "SongDesk":
        """Finished songs: parted, converted, mixed."""
        from core.song.desk import SongDesk

        return SongDesk(self.settings, self._voices, self._jobs)

    @property
    def texts(self) -> "TextDesk":
        """Texts in a trained voice: spoken by a plain engine, then converted."""
        from core.text_to_voice.desk import TextDesk

        return TextDesk(self.settings, self._voices, self._jobs)

    @property
    def live(self) -> "LiveDesk":
        """Conversion of sound as it comes."""
        from core.realtime.desk import LiveDesk

        return LiveDesk(self.settings)

    @property
    def dataset(self) -> "DatasetDesk":
        """What is known of a voice's clips and recordings beyond their tables: quality, history, cleaning."""
        from core.dataset.desk import DatasetDesk

        return DatasetDesk(self.settings, self._voices, self._jobs, self._refuse_while_busy)

    @property
    def characters(self) -> "CharacterDesk":
        """Voices as the HTTP service's characters."""
        from core.service.desk import CharacterDesk

        return CharacterDesk(self, lambda: self._jobs)

    @property
    def speech(self) -> "SpeechDesk":
        """Spoken texts: loaded models, reference clips, takes."""
        from core.speech.desk import SpeechDesk

        with self._opening:
            if self._speech is None:  # one for all: it holds the loaded models
                self._speech = SpeechDesk(self.settings, lambda: self._voices)
            return self._speech

    @property
    def models(self) -> "ModelsDesk":
        """Model files: what is here, import, info, compression, mixing, deletion."""
        from core.models.desk import ModelsDesk

        return ModelsDesk(self.settings, self._voices, self._jobs, self._refuse_while_busy)

    def say(self, params: Mapping[str, Any]) -> Job:
        """Queue the speaking of a file: "srt" or "file" into one sound, "csv" into many (run_say, run_say_batch)."""
        return self._jobs.submit("say-batch" if "csv" in params else "say", dict(params), params.get("voice"))

    # -- training

    def preflight(self, options: Mapping[str, Any]) -> list[Check]:
        """What stands in the way of a training run with these options (see RunOptions and its engines' own)."""
        from core.training import engines

        return engines.preflight(self.settings, engines.options_of(dict(options)))

    @property
    def training(self) -> "TrainingDesk":
        """Checkpoints, comparisons, manifests, clones and deletion of runs."""
        from core.training.desk import TrainingDesk

        return TrainingDesk(self.settings)

    def train(self, options: Mapping[str, Any], overrule: bool = False) -> Job:
        """Queue a training run. Raises BadInput (options), NotFound (voice), Conflict (pre-flight says no).

        `overrule` starts it whatever the pre-flight says.
        """
        from core.training.engines import options_of

        parsed = options_of(dict(options))
        if parsed.resume:
            return self.resume(parsed.resume, **{k: v for k, v in options.items() if k in parsed.may_change})
        self._voices.get(parsed.voice)
        for check in self.preflight(options):
            if check.verdict == "fail" and not overrule:
                raise Conflict(f"Training cannot start. {check.name}: {check.detail}", check.fix, where=check.name)
        return self._jobs.submit("train", dict(options), parsed.voice)

    def resume(self, run: str, **changes: Any) -> Job:
        """Queue a run to go on from its last checkpoint, with other options (those of `may_change`) if given.

        Raises NotFound, BadInput, Conflict (it runs or is queued already).
        """
        from core.training.session import resume_params

        found = run_folders.open_run(self.settings.runs, run)
        info = found.read()
        if run_folders.is_going(found.path, info):
            raise Conflict(f"The run {run!r} is going on.", "Stop it first.", where=run)
        for job in self._jobs.store.list(limit=1000, states=ACTIVE):
            if job.kind == "train" and job.params.get("resume") == run:
                raise Conflict(f"The run {run!r} is waiting to go on as job {job.id}.", "Cancel that first.", where=run)
        return self._jobs.submit("train", resume_params(run, info, changes), info.voice)

    def runs(self, voice: str | None = None) -> list[RunSummary]:
        """Training runs, newest first."""
        return run_folders.list_runs(self.settings.runs, voice)

    def metrics(self, run: str, since_step: int = -1) -> list[dict[str, Any]]:
        """What a run logged after `since_step`, one dict per logged step. Raises NotFound."""
        return run_folders.open_run(self.settings.runs, run).metrics(since_step)

    def voice_models(self, voice: str, engine: str | None = "sovits") -> list[ModelSummary]:
        """Trained models of a voice, newest first: those that convert, those of another engine, or all (None)."""
        return summaries.models_of(self._voices.get(voice), engine)

    # -- conversion

    @property
    def conversion(self) -> "ConversionDesk":
        """Presets, batches, speakers, and the pitch that a person draws."""
        from core.engines.sovits.convert_desk import ConversionDesk

        return ConversionDesk(self.settings, self._voices, self._jobs)

    def convert(self, options: Mapping[str, Any]) -> Job:
        """Queue a conversion. Raises BadInput (see ConvertOptions; no such source), NotFound (voice, model)."""
        from core.engines.sovits.convert_options import parse_options

        params = {key: str(value) if isinstance(value, Path) else value for key, value in options.items()}
        parsed = parse_options(params)
        if not Path(parsed.source).is_file():
            raise BadInput(f"There is no file {parsed.source} to convert.", "Choose an audio file.", where="source")
        voice = self._voices.get(parsed.voice)
        if parsed.model is None and not summaries.models_of(voice):
            raise NotFound(f"The voice {voice.name!r} has no trained model.", "Train it first.", where=voice.name)
        return self._jobs.submit("convert", params, voice.name)

    def suggest_key(self, source: Path, voice: str, model: str | None = None) -> KeySuggestion:
        """By how many semitones to transpose `source` for a voice's model (newest if None). Takes seconds."""
        from core.key import suggest_key

        models = self.voice_models(voice)
        chosen = next((one for one in models if model in (None, one.name, str(one.path))), None)
        if chosen is None:
            wanted = f"model {model!r}" if model else "trained model"
            raise NotFound(f"The voice {voice!r} has no {wanted}.", "Train it first, or choose another.", where=voice)
        return suggest_key(Path(source), chosen.f0_median)

    # -- jobs and the machine

    def jobs(self, limit: int = 50) -> list[Job]:
        """Jobs, newest first."""
        return self._jobs.store.list(limit)

    def job(self, job_id: int) -> Job:
        """Raises NotFound."""
        return self._jobs.store.get(job_id)

    def cancel(self, job_id: int) -> Job:
        """Ask a job to stop. Raises NotFound."""
        return self._jobs.cancel(job_id)

    def retry(self, job_id: int) -> Job:
        """Queue a finished job again; a training that had saved something goes on from there.

        Raises NotFound, Conflict (still active).
        """
        job = self.job(job_id)
        if job.kind == "train" and job.state != "completed" and not job.active:
            run = summaries.run_of(job, self.runs(job.voice))
            if run is not None and run.saved_step:
                return self.resume(run.name)
        return self._jobs.retry(job_id)

    def job_log(self, job_id: int, most_bytes: int = 65536) -> str:
        """The end of a job's log. Raises NotFound if the job has none."""
        job = self.job(job_id)
        path = Path(job.log) if job.log else None
        if path is None or not path.is_file():
            raise NotFound(f"Job {job_id} has no log.", "It has not started yet.", where="jobs")
        with open(path, "rb") as handle:
            handle.seek(max(0, path.stat().st_size - most_bytes))
            return handle.read().decode("utf-8", "replace")

    def status(self) -> SystemStatus:
        """Device, disk and what runs now. Cheap: a status bar may ask every second."""
        store = self._jobs.store
        return SystemStatus(
            device=device.info(self.settings.device),
            disk_free_bytes=device.disk(self.settings.workspace).free_bytes,
            running=store.list(limit=20, states=("running",)),
            queued=store.count("queued"),
        )

    def doctor(self) -> list[Check]:
        """Whether this machine is ready, line by line. Takes as long as importing torch in a child."""
        from core.doctor import doctor

        return doctor(self.settings)

    def run_foreground(
        self, kind: str, params: Mapping[str, Any], on_progress: Callable[[float, str], None] | None = None
    ) -> dict[str, Any]:
        """Do a job in this process and return its result; Ctrl-C asks it to stop and save.

        `on_progress(fraction 0..1, message)` is called about ten times a second at most.
        """
        try:
            return foreground.run_foreground(self.settings, self._handlers, kind, dict(params), on_progress)
        except StudioError as err:
            _log.info("%s: %s", kind, err.message)
            raise
