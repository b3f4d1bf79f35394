"""/api/voices/{name}/speakers: what CosyVoice needs of a clip, heard once and kept with a voice."""

from contextlib import ExitStack
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Form, UploadFile
from pydantic import BaseModel, ConfigDict, Field

from api.documented import responses
from api.uploads import ONE_FILE, on_disk

if TYPE_CHECKING:
    from core.engines.cosyvoice2.speaker import About
    from core.studio import Studio

Name = Annotated[str, Form(min_length=1, max_length=80, description="of the speaker, such as calm")]
Text = Annotated[str, Form(max_length=2000, description="what is said in the clip; empty if unknown")]
Model = Annotated[str, Form(max_length=100, description="CosyVoice model that hears it; empty: the best that is here")]


class NewName(BaseModel):
    """Body of PATCH."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=80)


def router(studio: "Studio") -> APIRouter:
    """The routes. Speak with one by the engine option `stored`."""
    routes = APIRouter(prefix="/{name}/speakers")

    @routes.get("")
    def list_speakers(name: str) -> list[dict[str, Any]]:
        """The speakers stored with a voice."""
        return [_shown(one) for one in studio.speech.stored(name).all()]

    @routes.post("", status_code=201, responses=responses(400, 413, 424, 503, 507), dependencies=[ONE_FILE])
    def add_speaker(
        name: str, speaker: Name, clip: UploadFile | None = None, text: Text = "", model: Model = ""
    ) -> dict[str, Any]:
        """Hear a clip of 3 to 30 seconds and keep it; without a file the voice's best clip."""
        with ExitStack() as stack:
            path = stack.enter_context(on_disk(clip, studio.settings)) if clip is not None and clip.filename else None
            return _shown(studio.speech.stored(name).add(speaker, path, text, model))

    @routes.patch("/{speaker}", responses=responses(400))
    def rename_speaker(name: str, speaker: str, body: NewName) -> dict[str, Any]:
        """Give one another name."""
        desk = studio.speech.stored(name)
        desk.rename(speaker, body.name)
        return _shown(desk.about(body.name))

    @routes.delete("/{speaker}", status_code=204)
    def delete_speaker(name: str, speaker: str) -> None:
        """Move one to the trash beside it."""
        studio.speech.stored(name).delete(speaker)

    return routes


def _shown(one: "About") -> dict[str, Any]:
    return {"name": one.name, "seconds": one.seconds, "text": one.text}
