"""Spoken texts of characters: requests, their jobs and files. Behind `CharacterDesk.inferences`."""

import uuid
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import Conflict, NotFound
from core.jobs.model import Job
from core.paths import safe_filename, unique_path
from core.service.character import iso
from core.service.models import InferenceInfo, InferenceRequest, Status

if TYPE_CHECKING:
    from core.jobs.queue import JobQueue
    from core.service.desk import CharacterDesk

SPEECH_JOB = "character-speech"
_STATUS: dict[str, Status] = {"queued": "running", "interrupted": "failed"}


class InferenceDesk:
    """Every method that takes an id raises NotFound for an unknown one."""

    def __init__(self, characters: "CharacterDesk", jobs: "Callable[[], JobQueue]") -> None:
        self._characters, self._jobs = characters, jobs
        self.state, self.settings = characters.state, characters.settings

    def start(self, request: InferenceRequest) -> InferenceInfo:
        """Queue a request. Raises NotFound (character, files), Conflict (no default character, no model), BadInput
        (a reference that cannot be one)."""
        name = request.character_name or self._characters.default()
        if name is None:
            raise Conflict("There is no character yet.", "Create one first.", where="character_name")
        self._characters.refuse_without_model(name)
        if request.source_audio is not None:
            self._characters.recording(name, request.source_audio)
        key = str(uuid.uuid4())
        params = {
            "voice": name,
            "inference_id": key,
            "text": request.target_text,
            "language": request.target_language,
            "source": request.source_audio,
            **self._reference(name, request),
            "transpose": request.transpose,
            "seed": request.seed,
            "out": str(self._place(name, key, request.output_name)),
        }
        job = self._jobs().submit(SPEECH_JOB, params, name)
        self.state.add_inference(key, job.id)
        return _info(key, job, self.settings.workspace)

    def _reference(self, name: str, request: InferenceRequest) -> dict[str, str]:
        """The named reference for the job: found, of a length that an engine takes, and with its words if known."""
        if request.ref_audio is None:
            return {}
        path, known = self._characters.reference(name, request.ref_audio)
        if self._characters.clones(name):
            from core.speech.prompt import read_clip

            read_clip(path, 16_000)
        voice = self._characters.voice(name).path.resolve()
        return {"ref_audio": path.relative_to(voice).as_posix(), "ref_text": request.ref_text or known}

    def _place(self, name: str, key: str, wanted: str | None) -> Path:
        """A file name that no other request has: with a wanted name the request's number makes it so."""
        folder = self.settings.outputs / "inference"
        if wanted:
            stem = Path(safe_filename(wanted, "speech")).stem or "speech"
            path = folder / f"{stem}.wav"
            taken = path.exists() or any(job.params.get("out") == str(path) for job in self._jobs().store.list(1000))
            return unique_path(folder / f"{stem}_{key[:8]}.wav") if taken else path
        return folder / f"{name}_{key.replace('-', '')[:12]}.wav"

    def get(self, inference_id: str) -> InferenceInfo:
        """One request."""
        return _info(inference_id, self._job(inference_id), self.settings.workspace)

    def _job(self, inference_id: str) -> Job:
        number = self.state.inference_job(inference_id)
        if number is None:
            raise NotFound(f"There is no inference {inference_id[:64]!r}.", "List them.", where="inference_id")
        return self._jobs().store.get(number)

    def all(self, limit: int = 1000) -> list[InferenceInfo]:
        """Requests, newest first."""
        found = []
        for key, number in self.state.inferences(limit):
            try:
                found.append(_info(key, self._jobs().store.get(number), self.settings.workspace))
            except NotFound:
                continue
        return found

    def cancel(self, inference_id: str) -> InferenceInfo:
        """Ask a request to stop; a finished one stays as it is."""
        self._jobs().cancel(self._job(inference_id).id)
        return self.get(inference_id)

    def result(self, inference_id: str) -> tuple[Path, str]:
        """The file and the name to give it. Raises Conflict (not completed), NotFound (the file is gone)."""
        job = self._job(inference_id)
        if job.state != "completed":
            raise Conflict(f"This inference is {_STATUS.get(job.state, job.state)}.", "Wait until it is completed.")
        path = Path(job.params["out"])
        if not path.is_file():
            raise NotFound("The file of this inference is gone.", "Ask for it again.", where="inference_id")
        return path, f"{job.voice}_{inference_id[:8]}.wav"


def _info(key: str, job: Job, workspace: Path) -> InferenceInfo:
    out = Path(job.params["out"])
    error = job.error or {}
    status: Status = _STATUS.get(job.state) or job.state  # type: ignore[assignment]  # the rest are the same words
    lost = status == "completed" and not out.is_file()
    return InferenceInfo(
        inference_id=key,
        character_name=job.voice or "",
        target_text=str(job.params.get("text") or ""),
        status="failed" if lost else status,
        created_at=iso(job.created_at) or "",
        completed_at=iso(job.finished_at),
        output_path=out.relative_to(workspace).as_posix() if status == "completed" and not lost else None,
        error_message="Its file is gone." if lost else error.get("message") if job.state != "cancelled" else None,
        progress=round(100.0 * (1.0 if job.state == "completed" else job.progress), 2),
        job_id=job.id,
    )
