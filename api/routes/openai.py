"""/v1…: the speech and model routes that OpenAI's clients speak."""

import json
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, Literal

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from api.documented import DocumentedRoute, responses
from api.speaking import Desk, Speech, SpeechResponse, Wanted, client_of, stream, watched
from core.errors import BadInput, NotFound
from core.speech.request import SpeechRequest

if TYPE_CHECKING:
    from core.studio import Studio

_ALIASES = ("tts-1", "tts-1-hd", "gpt-4o-mini-tts", "")
_SPEAKERS = {"alloy": "woman", "nova": "woman", "shimmer": "woman", "coral": "woman", "sage": "woman", "marin": "woman",
             "fable": "man", "echo": "man", "onyx": "man", "ash": "man", "ballad": "man", "verse": "man",
             "cedar": "man", "woman": "woman", "man": "man", "default": "woman"}  # fmt: skip


class SpeechBody(BaseModel):
    """Body of POST /v1/audio/speech."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"model": "tts-1", "input": "Hello there.", "voice": "alloy"}]},
    )

    model: str = Field(default="", max_length=100, description="an id of /v1/models; tts-1 means the best that is here")
    input: str = Field(min_length=1, max_length=20_000)
    voice: str = Field(
        default="default", max_length=80,
        description="a character, whose best clip is the reference; or a name of OpenAI's, which the built-in engine "
        "maps to its woman or man and other engines leave to chance and seed",
    )  # fmt: skip
    response_format: Literal["mp3", "opus", "aac", "flac", "wav", "pcm"] = "mp3"
    speed: float = Field(default=1.0, ge=0.25, le=4.0, description="built-in engine only")
    instructions: str | None = Field(
        default=None, max_length=500, description="how to speak; models that take no such thing leave it"
    )
    stream_format: Literal["audio", "sse"] = "audio"
    seed: int | None = Field(default=None, ge=0, lt=2**31)


def router(studio: "Studio", desk: Desk) -> APIRouter:
    """The routes."""
    routes = APIRouter(prefix="/v1", tags=["OpenAI-compatible"], route_class=DocumentedRoute)
    sound: dict[int | str, dict[str, Any]] = {200: {"content": {"audio/*": {}, "text/event-stream": {}}}}

    def rows() -> list[dict[str, Any]]:
        from core.transcribe import models as recognisers

        speak = [(one.id, "speech", one.ready, one.why_not) for one in desk.service.engines()]
        hear = [(one.name, "transcription", True, "") for engine in recognisers.PREFIX
                for one in recognisers.here(studio.settings, engine)]  # fmt: skip
        return [
            {"id": key, "object": "model", "created": 0, "owned_by": "timbre-studio", "kind": kind, "ready": ready}
            # Where the server keeps things is its own business.
            | ({"why_not": why.replace(str(studio.settings.pretrain_dir), "pretrain")} if why else {})
            for key, kind, ready, why in [*speak, *hear]
        ]

    @routes.get("/models")
    def models() -> dict[str, Any]:
        """What can speak and transcribe here; `ready` false says in `why_not` what is missing."""
        return {"object": "list", "data": rows()}

    @routes.get("/models/{model}", responses=responses(404))
    def one_model(model: str) -> dict[str, Any]:
        """One of them."""
        for row in rows():
            if row["id"] == model:
                return row
        raise NotFound(f"There is no model {model[:100]!r}.", "List them: /v1/models.", where="model")

    @routes.post(
        "/audio/speech", responses={**sound, **responses(400, 404, 408, 429, 424, 503)}, response_class=Response
    )
    async def speech(request: Request, body: SpeechBody) -> Response:
        """Speech of a text, sent while it is made; `stream_format` sse sends base64 pieces as events.

        `wav` has one header; `pcm` is 16 bit mono at 24 kHz.
        """
        said = _said(studio, body)
        fmt = "stream" if body.response_format == "wav" else body.response_format
        wanted = Wanted(fmt, 24_000 if fmt == "pcm" else 0)
        if body.stream_format == "sse":
            speaking = Speech(desk, client_of(request), said, wanted)
            await watched(request, speaking.begin())
            return SpeechResponse(speaking, _events(speaking))
        return await stream(desk, request, said, wanted)

    return routes


def _said(studio: "Studio", body: SpeechBody) -> SpeechRequest:
    engine = "" if body.model in _ALIASES else body.model
    options = {"seed": body.seed, "speed": body.speed, "instructions": body.instructions}
    voice: str | None = body.voice
    if body.voice in _SPEAKERS:
        voice, options["speaker"] = None, _SPEAKERS[body.voice]
    elif body.voice not in {one.name for one in studio.characters.voices()}:
        raise NotFound(
            f"There is no voice {body.voice!r}.", "Use a character's name, or alloy, nova, echo, onyx ….", where="voice"
        )
    if not any(char.isalnum() for char in body.input):
        raise BadInput("There is nothing to say: the input holds no letters or numbers.", "Write it.", where="input")
    return SpeechRequest(text=body.input, engine=engine, voice=voice, options=options)


async def _events(speech: Speech) -> AsyncIterator[str]:
    import base64

    async for data in speech.sound():
        yield f"data: {json.dumps({'type': 'speech.audio.delta', 'audio': base64.b64encode(data).decode()})}\n\n"
    usage = {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0}
    yield f"data: {json.dumps({'type': 'speech.audio.done', 'usage': usage})}\n\n"
