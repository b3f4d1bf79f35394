"""/api/v1/characters…: characters, their audio and their training, as the character service's document has them."""

from enum import Enum
from typing import TYPE_CHECKING

from fastapi import APIRouter, UploadFile
from fastapi.responses import FileResponse

from api.documented import DocumentedRoute, responses
from api.downloads import download
from api.uploads import ONE_FILE, on_disk
from core.service import status
from core.service.models import (
    AudioFileInfo,
    AudioProcessingInfo,
    CharacterCreateRequest,
    CharacterInfo,
    CharacterRenameRequest,
    CheckInfo,
    Done,
    TrainingInfo,
)  # fmt: skip

if TYPE_CHECKING:
    from core.studio import Studio

_BUSY = responses(400, 404, 409)
_ONE = "/characters/{name}"


def router(studio: "Studio") -> APIRouter:
    """The routes about characters. A character is a voice of the page, both ways."""
    routes = APIRouter(prefix="/api/v1", route_class=DocumentedRoute)
    _characters(routes, studio)
    _audio(routes, studio)
    _training(routes, studio)
    return routes


def _characters(routes: APIRouter, studio: "Studio") -> None:
    desk = studio.characters

    @routes.post("/characters", tags=["characters"], responses=responses(400, 507))
    def create_character(body: CharacterCreateRequest) -> CharacterInfo:
        """Make a character. The first one becomes the default."""
        return desk.create(body.character_name, body.config)

    @routes.get("/characters", tags=["characters"])
    def list_characters() -> list[CharacterInfo]:
        """All characters by name."""
        return desk.all()

    @routes.get(_ONE, tags=["characters"], responses=responses(404))
    def get_character(name: str) -> CharacterInfo:
        """One character."""
        return desk.info(name)

    @routes.put(_ONE, tags=["characters"], responses=_BUSY)
    def rename_character(name: str, body: CharacterRenameRequest) -> CharacterInfo:
        """Rename: recordings, clips, models, runs and jobs move along. 409 while a job works on it."""
        return desk.rename(name, body.new_name)

    @routes.delete(_ONE, tags=["characters"], responses=_BUSY)
    def delete_character(name: str) -> Done:
        """Move a character with all that is its own to the trash. 409 while a job works on it."""
        desk.delete(name)
        return Done(message=f"The character {name} was moved to the trash.")

    @routes.post(_ONE + "/set_default", tags=["characters"], responses=responses(404))
    def set_default_character(name: str) -> Done:
        """Make it the character that inference takes where none is named."""
        desk.set_default(name)
        return Done(message=f"{name} is the default character.")

    @routes.get("/default_character", tags=["characters"])
    def get_default_character() -> dict[str, str | None]:
        """The default character; null while there is none."""
        return {"default_character": desk.default()}

    @routes.get(
        _ONE + "/download/{filename:path}", tags=["files"], responses=responses(404), response_class=FileResponse
    )
    def download_character_file(name: str, filename: str) -> FileResponse:
        """A recording, clip, transcript, model file or spoken result, by its name or its path in the character."""
        path = desk.download(name, filename)
        return download(path)


def _audio(routes: APIRouter, studio: "Studio") -> None:
    desk = studio.characters
    tags: list[str | Enum] = ["audio"]

    @routes.post(_ONE + "/audio/upload", tags=tags, responses=responses(400, 404, 413, 507), dependencies=[ONE_FILE])
    def upload_audio(name: str, file: UploadFile) -> Done:
        """Add a recording of any audio or video format; several go one after another.

        Its name is made safe, a taken name gets a number, and the same bytes are kept once.
        """
        voice = desk.voice(name)
        with on_disk(file, studio.settings) as path:
            kept = desk.add_audio(name, path)
        return Done(
            message="Uploaded.",
            filename=kept.relative_to(voice.raw).as_posix(),
            path=kept.relative_to(voice.path).as_posix(),
        )

    @routes.get(_ONE + "/audio/files", tags=tags, responses=responses(404))
    def list_audio_files(name: str) -> list[AudioFileInfo]:
        """The recordings with size, seconds and times."""
        return desk.audio_files(name)

    @routes.delete(_ONE + "/audio/files/{filename:path}", tags=tags, responses=responses(404))
    def delete_audio_file(name: str, filename: str) -> Done:
        """Move a recording to the trash; what was made of it becomes outdated."""
        desk.delete_audio(name, filename)
        return Done(message="Deleted.", filename=filename)

    @routes.post(_ONE + "/audio/process", tags=tags, responses=_BUSY)
    def process_audio(name: str) -> AudioProcessingInfo:
        """Make clips: denoise (if the character says so), slice, transcribe (where a recogniser is installed).

        409 names the job that runs already.
        """
        return desk.process(name)

    @routes.get(_ONE + "/audio/status", tags=tags, responses=responses(404))
    def audio_status(name: str) -> AudioProcessingInfo:
        """How far it is, the same in every process and after every restart."""
        return desk.audio_status(name)

    @routes.get(_ONE + "/audio/check_status", tags=tags, responses=responses(404))
    def check_audio_status(name: str) -> CheckInfo:
        """What the files alone say: pending, completed or outdated."""
        return desk.audio_check(name)

    @routes.post(_ONE + "/audio/cancel", tags=tags, responses=responses(400, 404))
    def cancel_audio(name: str) -> AudioProcessingInfo:
        """Stop the processing; clips made before stay."""
        desk.cancel(name, status.AUDIO_KINDS)
        return desk.audio_status(name)


def _training(routes: APIRouter, studio: "Studio") -> None:
    desk = studio.characters
    tags: list[str | Enum] = ["training"]

    @routes.post(_ONE + "/training/start", tags=tags, responses=_BUSY)
    def start_training(name: str) -> TrainingInfo:
        """Train on the accepted clips.

        Engine `sovits` (built in) learns the sound of the voice; `voxcpm` fine-tunes a VoxCPM that is on this machine,
        and needs transcribed clips. Of the documented fields both take `batch_size` as it is and `epochs_s2` as rounds
        over the clips: steps = epochs_s2 x ceil(max(clips, 100) / batch_size), or `steps` where that is given. Neither
        has a text model apart, so `epochs_s1` is kept; several GPUs in `gpu_id` train together; `enable_denoise` and
        `language` steer audio/process. The last step is always saved. A training that was cut off or cancelled goes on
        from its last checkpoint. 409 names the job that runs.
        """
        return desk.train(name)

    @routes.get(_ONE + "/training/status", tags=tags, responses=responses(404))
    def training_status(name: str) -> TrainingInfo:
        """How far it is; progress moves inside the long step."""
        return desk.training_status(name)

    @routes.get(_ONE + "/training/check_status", tags=tags, responses=responses(404))
    def check_training_status(name: str) -> CheckInfo:
        """What the files alone say: pending, completed or outdated."""
        return desk.training_check(name)

    @routes.post(_ONE + "/training/clean", tags=tags, responses=_BUSY)
    def clean_training(name: str) -> Done:
        """Move this character's models and runs to the trash; no other's."""
        n_models = desk.clean_training(name)
        return Done(message=f"{n_models} models were moved to the trash.")

    @routes.post(_ONE + "/training/cancel", tags=tags, responses=responses(400, 404))
    def cancel_training(name: str) -> TrainingInfo:
        """Stop the training; it saves what it has first."""
        desk.cancel(name, (status.TRAIN_KIND,))
        return desk.training_status(name)
