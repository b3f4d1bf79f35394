"""GET and POST /api/voices, GET /api/voices/{name}/models; a voice's stored speakers."""

from typing import TYPE_CHECKING, Any

from fastapi import APIRouter
from fastapi.encoders import jsonable_encoder
from pydantic import BaseModel, ConfigDict, Field

from api.documented import responses
from api.routes import speakers

if TYPE_CHECKING:
    from core.studio import Studio


class NewVoice(BaseModel):
    """Body of POST /api/voices."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=200)


def router(studio: "Studio") -> APIRouter:
    """The routes about voices. Handlers are plain functions: FastAPI runs them in threads, disk access may block."""
    routes = APIRouter(prefix="/api/voices", tags=["voices"], responses=responses(404, 409))

    @routes.get("")
    def list_voices() -> list[dict[str, Any]]:
        """Every voice with its minutes, clips, runs and models."""
        return [jsonable_encoder(voice) for voice in studio.voices()]

    @routes.post("", status_code=201)
    def create_voice(body: NewVoice) -> dict[str, Any]:
        """Make an empty voice; the name becomes a safe folder name."""
        return {"name": studio.create_voice(body.name).name}

    @routes.get("/{name}/models")
    def list_models(name: str) -> list[dict[str, Any]]:
        """The trained models of a voice, newest first."""
        return [jsonable_encoder(model) for model in studio.voice_models(name)]

    routes.include_router(speakers.router(studio))
    return routes
