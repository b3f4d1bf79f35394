"""/v1…: the speech, transcription and model routes that OpenAI's clients speak."""

import json
from contextlib import ExitStack
from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter, Form, Request, Response, UploadFile
from fastapi.responses import JSONResponse, PlainTextResponse, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from api.documented import DocumentedRoute, responses
from api.job_results import finished
from api.speaking import Desk, Speech, Wanted, client_of, stream, watched
from api.uploads import on_disk
from core.errors import BadInput, NotFound
from core.speech.request import SpeechRequest

if TYPE_CHECKING:
    from core.studio import Studio

_ALIASES = ("tts-1", "tts-1-hd", "gpt-4o-mini-tts", "")
_SPEAKERS = {"alloy": "woman", "nova": "woman", "shimmer": "woman", "coral": "woman", "sage": "woman",
             "fable": "man", "echo": "man", "onyx": "man", "ash": "man", "ballad": "man", "verse": "man",
             "woman": "woman", "man": "man", "default": "woman"}  # fmt: skip
_WHISPER = ("whisper-1", "gpt-4o-transcribe", "gpt-4o-mini-transcribe", "")


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
    instructions: str | None = Field(default=None, max_length=500, description="how to speak, for models that take it")
    stream_format: Literal["audio", "sse"] = "audio"
    seed: int | None = Field(default=None, ge=0, lt=2**31)


def router(studio: "Studio", desk: Desk) -> APIRouter:
    """The routes."""
    routes = APIRouter(prefix="/v1", tags=["OpenAI-compatible"], route_class=DocumentedRoute)
    sound: dict[int | str, dict[str, Any]] = {200: {"content": {"audio/*": {}, "text/event-stream": {}}}}

    @routes.get("/models")
    def models() -> dict[str, Any]:
        """What can speak and transcribe here; `ready` false says in `why_not` what is missing."""
        from core.transcribe import models as recognisers

        speak = [(one.id, "speech", one.ready, one.why_not) for one in desk.service.engines()]
        hear = [(one.name, "transcription", True, "") for engine in recognisers.PREFIX
                for one in recognisers.here(studio.settings, engine)]  # fmt: skip
        rows = [
            {"id": key, "object": "model", "created": 0, "owned_by": "timbre-studio", "kind": kind, "ready": ready}
            | ({"why_not": why} if why else {})
            for key, kind, ready, why in [*speak, *hear]
        ]
        return {"object": "list", "data": rows}

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
            return StreamingResponse(_events(speaking), media_type="text/event-stream", headers=speaking.headers())
        return await stream(desk, request, said, wanted)

    @routes.post("/audio/transcriptions", responses=responses(400, 404, 413, 424, 503), response_class=Response)
    async def transcriptions(
        request: Request,
        file: UploadFile,
        model: Annotated[str, Form(max_length=100, description="whisper-1 means the best that is here")] = "whisper-1",
        language: Annotated[str | None, Form(pattern="^([a-z]{2,3})?$")] = None,
        prompt: Annotated[str | None, Form(max_length=1000, description="names and words that will come")] = None,
        response_format: Annotated[Literal["json", "text", "srt", "vtt", "verbose_json"], Form()] = "json",
        temperature: Annotated[float, Form(ge=0, le=1, description="taken, but not used: decoding is greedy")] = 0.0,
    ) -> Response:
        """Text of a recording, as a job: it shows on the page, and ends when the client goes away."""
        with ExitStack() as stack:
            path = stack.enter_context(on_disk(file, studio.settings))
            options: dict[str, Any] = {"audio": str(path), "out": str(path.parent / "heard.srt")}
            # Here and not in the job: a refusal need not wait for its turn.
            options |= _recogniser(studio, model, language or None)
            options |= {"language": language or None, "hint": prompt or None}
            result = await finished(studio, request, "transcribe", options)
            srt = (path.parent / "heard.srt").read_text("utf-8")
        return _heard(srt, result, response_format)

    return routes


def _said(studio: "Studio", body: SpeechBody) -> SpeechRequest:
    engine = "" if body.model in _ALIASES else body.model
    options = {"seed": body.seed, "speed": body.speed, "description": body.instructions or ""}
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


async def _events(speech: Speech) -> Any:
    import base64

    try:
        async for data in speech.sound():
            yield f"data: {json.dumps({'type': 'speech.audio.delta', 'audio': base64.b64encode(data).decode()})}\n\n"
        usage = {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0}
        yield f"data: {json.dumps({'type': 'speech.audio.done', 'usage': usage})}\n\n"
    finally:
        await speech.end()


def _recogniser(studio: "Studio", model: str, language: str | None) -> dict[str, Any]:
    """Engine and model of a transcription. Raises NotFound (no such name), Unavailable (no weights here)."""
    from core.transcribe.models import PREFIX, find, here

    if model in _WHISPER:
        engine = next((name for name in PREFIX if here(studio.settings, name)), "whisper")
        return {"engine": engine, "model": find(studio.settings, engine, None, language).name}
    for engine, prefix in PREFIX.items():
        if model.startswith(prefix) and "/" not in model and "\\" not in model:
            return {"engine": engine, "model": find(studio.settings, engine, model, language).name}
    raise NotFound(f"There is no recogniser {model!r}.", "List them: /v1/models.", where="model")


def _heard(srt: str, result: dict[str, Any], form: str) -> Response:
    from core.subtitles.parse import parse
    from core.subtitles.write import to_vtt

    cues = parse(srt.encode()).cues
    text = " ".join(cue.text for cue in cues)
    if form == "srt":
        return PlainTextResponse(srt, media_type="application/x-subrip")
    if form == "vtt":
        return PlainTextResponse(to_vtt(cues), media_type="text/vtt")
    if form == "text":
        return PlainTextResponse(text + "\n")
    if form == "json":
        return JSONResponse({"text": text})
    segments = [
        {"id": number, "start": cue.start_ms / 1000, "end": cue.end_ms / 1000, "text": cue.text}
        for number, cue in enumerate(cues)
    ]
    head = {"task": "transcribe", "language": result["language"], "duration": result["duration_s"]}
    return JSONResponse({**head, "text": text, "segments": segments})
