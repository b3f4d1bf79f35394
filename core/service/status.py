"""What a character's audio and training are at, told from the jobs table and checked against the files.

Nothing here is remembered: the same files and jobs give the same answer in every process and after every restart,
whoever made them, the page or the service.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from core import summaries
from core.errors import StudioError
from core.jobs.model import Job
from core.service.character import Character, iso
from core.service.models import AudioProcessingInfo, CheckInfo, Status, TrainingInfo
from core.training import runs

if TYPE_CHECKING:
    from core.dataset.clips import Clip
    from core.dataset.voices import Voice
    from core.summaries import ModelSummary

AUDIO_JOB = "character-audio"
AUDIO_KINDS = (AUDIO_JOB, "prep", "slice")
"""Jobs that make clips; the last two are the page's."""
TRAIN_KIND = "train"
AUDIO_STEPS = ("convert_audio", "denoise_audio", "slice_audio", "asr_transcribe")
SPEAKING = ("sovits", "voxcpm")
_CHANGED = "The audio files have changed since. Process them again."
_RETRAIN = "The clips have changed since this training. Train again."


def recordings(voice: "Voice") -> list[Path]:
    """The files of a voice's recordings, sorted."""
    if not voice.raw.is_dir():
        return []
    found = (path for path in voice.raw.rglob("*") if path.is_file())
    return sorted(p for p in found if not any(part.startswith(".") for part in p.relative_to(voice.raw).parts))


def trained(voice: "Voice") -> "list[ModelSummary]":
    """The models in which a character can speak, newest first."""
    return [model for model in summaries.models_of(voice, None) if model.engine in SPEAKING]


def latest(jobs: Iterable[Job], kinds: tuple[str, ...], since: float) -> Job | None:
    """The newest job of these kinds that was queued after `since`."""
    return next((job for job in jobs if job.kind in kinds and job.created_at >= since), None)


def _clips(voice: "Voice") -> "list[Clip]":
    try:
        return summaries.clips_of(voice)
    except StudioError:  # a damaged table: to be made again
        return []


def audio_files(voice: "Voice", made_at: float | None) -> tuple[Status, str]:
    """What the files say: are there clips, and are they of the recordings that are there now?

    `made_at`: when the clips began to be made; None takes the time of their table.
    """
    files = recordings(voice)
    clips = [clip for clip in _clips(voice) if (voice.path / clip.audio).is_file()]
    if not clips:
        what = "There are recordings, but no clips yet." if files else "There are no recordings yet."
        return "pending", what
    if made_at is None:
        made_at = (voice.sliced / "clips.jsonl").stat().st_mtime
    names = {path.relative_to(voice.raw).as_posix() for path in files}
    gone = {clip.source for clip in clips} - names
    # Importing copies, so a file's time is when it came here.
    newer = [path.name for path in files if path.stat().st_mtime > made_at]
    if gone or newer:
        return "outdated", _CHANGED
    accepted = sum(clip.verdict == "accepted" for clip in clips)
    return "completed", f"{len(clips)} clips of {len(files)} recordings, {accepted} accepted."


def clips_made_at(character: Character, jobs: list[Job]) -> float | None:
    """When the clips began to be made, if the last job that did so was completed."""
    job = latest(jobs, AUDIO_KINDS, character.created_at)
    return job.started_at if job is not None and job.state == "completed" else None


def audio_info(voice: "Voice", character: Character, jobs: list[Job]) -> AudioProcessingInfo:
    """State of making clips."""
    job = latest(jobs, AUDIO_KINDS, character.created_at)
    status, said = audio_files(voice, clips_made_at(character, jobs))
    sources = {clip.source for clip in _clips(voice)}
    info = AudioProcessingInfo(
        character_name=voice.name,
        status=_of_job(job, status),
        processed_audio_count=sum(path.relative_to(voice.raw).as_posix() in sources for path in recordings(voice)),
    )
    if job is not None:
        _add_job(info, job, _audio_step(job))
    elif status in ("completed", "outdated"):
        info.progress = 100.0
    if info.status == "outdated":
        info.error_message = said
    return info


def training_files(voice: "Voice", runs_dir: Path, audio: Status) -> tuple[Status, str]:
    """What the files say: is there a model, and was it trained on the clips that are there now?

    `audio`: what `audio_files` said.
    """
    models = trained(voice)
    if not models:
        return "pending", "There is no trained model yet."
    run = next((one for one in runs.list_runs(runs_dir, voice.name) if one.model), None)
    if run is not None and _trained_otherwise(runs_dir / run.name / "data.json", _clips(voice)):
        return "outdated", _RETRAIN
    if audio == "outdated":
        return "outdated", _CHANGED
    return "completed", f"Model {models[0].name}, step {models[0].step}."


def training_info(
    voice: "Voice", character: Character, jobs: list[Job], runs_dir: Path, audio: AudioProcessingInfo
) -> TrainingInfo:
    """State of the training."""
    job = latest(jobs, (TRAIN_KIND,), max(character.created_at, character.trained_since))
    status, said = training_files(voice, runs_dir, audio.status)
    info = TrainingInfo(character_name=voice.name, status=_of_job(job, status))
    models = trained(voice)
    if models:
        info.sovits_model_path = models[0].weights.relative_to(voice.path).as_posix()
    if job is not None:
        _add_job(info, job, _train_step(job))
    elif models:
        info.progress = 100.0
    if info.status == "outdated":
        info.error_message = said
    return info


def check(name: str, found: tuple[Status, str]) -> CheckInfo:
    """The answer of a check_status endpoint."""
    return CheckInfo(character_name=name, status=found[0], message=found[1])


def _of_job(job: Job | None, files: Status) -> Status:
    """The status that a job's state and the files make together."""
    if job is None or job.state == "completed":
        return files
    if job.active:
        return "running"
    return "cancelled" if job.state == "cancelled" else "failed"


def _add_job(info: AudioProcessingInfo | TrainingInfo, job: Job, step: str) -> None:
    info.job_id, info.eta_s = job.id, job.eta_now_s()
    info.started_at, info.completed_at = iso(job.started_at), iso(job.finished_at)
    info.progress = round(100.0 * (1.0 if job.state == "completed" else job.progress), 2)
    if job.state == "queued":
        info.current_step = "queued"
    elif job.state == "running":
        info.current_step = step
    if job.state in ("failed", "interrupted"):
        error = job.error or {}
        said = " ".join(filter(None, (error.get("message"), error.get("hint")))) or "It failed."
        # Where the server keeps its logs is its own business.
        info.error_message = said.replace(job.log, Path(job.log).name) if job.log else said


def _audio_step(job: Job) -> str:
    named = job.message.partition(":")[0]
    if named in AUDIO_STEPS:
        return named
    return "convert_audio" if job.kind == AUDIO_JOB else "slice_audio"


def _train_step(job: Job) -> str:
    said = job.message.lower()
    return "extract_audio_features" if not said or said.startswith("features") else "train_sovits"


def _trained_otherwise(data_file: Path, clips: "list[Clip]") -> bool:
    """Whether a run's clips are other than those that would be trained on now."""
    try:
        data = json.loads(data_file.read_text(encoding="utf-8"))
        used = {str(row["features"]) for row in [*data["train"], *data["held_out"]]}
    except (OSError, ValueError, KeyError, TypeError):
        return False  # the run was moved away; the model still works
    now = {clip.sha256 for clip in clips if clip.verdict == "accepted"}
    # Clips of under 0.3 s are accepted by hand and still left out of a training.
    short = {clip.sha256 for clip in clips if clip.duration_s < 0.4}
    return bool(used - now) or bool(now - used - short)
