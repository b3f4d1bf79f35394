"""/v1/audio/transcriptions: a recording in, its words out, as OpenAI's clients ask for them."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter, Form, Request, Response, UploadFile
from fastapi.responses import JSONResponse, PlainTextResponse

from api.documented import DocumentedRoute, responses
from api.job_results import finished
from api.uploads import ONE_FILE, on_disk
from core.errors import NotFound

if TYPE_CHECKING:
    from core.studio import Studio
    from core.subtitles.cue import Cue

_WHISPER = ("whisper-1", "gpt-4o-transcribe", "gpt-4o-mini-transcribe", "")
_TEXT: dict[str, Any] = {
    "application/json": {},
    "text/plain": {},
    "application/x-subrip": {},
    "text/vtt": {},
    "text/event-stream": {},
}
Model = Annotated[str, Form(max_length=100, description="whisper-1 means the best that is here")]
Shape = Annotated[Literal["json", "text", "srt", "vtt", "verbose_json"], Form()]
Granularities = Annotated[
    list[Literal["word", "segment"]],
    Form(alias="timestamp_granularities[]", max_length=2, description="verbose_json: which times it holds"),
]
Stream = Annotated[bool, Form(description="as server-sent events, a sentence each; once the whole was heard")]


def router(studio: "Studio") -> APIRouter:
    """The route."""
    routes = APIRouter(prefix="/v1", tags=["OpenAI-compatible"], route_class=DocumentedRoute)
    told: dict[int | str, dict[str, Any]] = {200: {"content": _TEXT}}

    @routes.post(
        "/audio/transcriptions",
        responses={**told, **responses(400, 404, 413, 424, 503)},
        response_class=Response,
        dependencies=[ONE_FILE],
    )
    async def transcriptions(
        request: Request,
        file: UploadFile,
        model: Model = "whisper-1",
        language: Annotated[str | None, Form(pattern="^([a-z]{2,3})?$")] = None,
        prompt: Annotated[str | None, Form(max_length=1000, description="names and words that will come")] = None,
        response_format: Shape = "json",
        granularities: Granularities = ["segment"],  # noqa: B006  (never changed)
        stream: Stream = False,
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
            words = _words(Path(result["words"])) if "word" in granularities else None
        return _heard(srt, result, response_format, words, stream)

    return routes


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


def _words(path: Path) -> list[dict[str, Any]]:
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines() if line]
    return [{"word": row["text"].strip(), "start": row["start_s"], "end": row["end_s"]} for row in rows]


def _heard(srt: str, result: dict[str, Any], form: str, words: list[dict[str, Any]] | None, stream: bool) -> Response:
    from core.subtitles.parse import parse
    from core.subtitles.write import to_vtt

    cues = parse(srt.encode()).cues
    text = " ".join(cue.text for cue in cues)
    if stream:
        return Response("".join(_events(cues, text)), media_type="text/event-stream")
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
    timed = {} if words is None else {"words": words}
    return JSONResponse({**head, "text": text, "segments": segments, **timed})


def _events(cues: "list[Cue]", text: str) -> Iterator[str]:
    for number, cue in enumerate(cues):
        delta = cue.text if number == 0 else f" {cue.text}"
        yield f"data: {json.dumps({'type': 'transcript.text.delta', 'delta': delta})}\n\n"
    yield f"data: {json.dumps({'type': 'transcript.text.done', 'text': text})}\n\n"
