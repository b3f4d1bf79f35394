"""/api/tts…: the streaming speech API as its document has it, its one-shot sister, and the state of the GPU."""

from contextlib import ExitStack
from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter, Form, Request, Response, UploadFile

from api.documented import DocumentedRoute, responses
from api.speaking import Desk, Wanted, stream, whole
from api.uploads import ONE_FILE, on_disk
from core.errors import BadInput
from core.speech.request import SpeechRequest

if TYPE_CHECKING:
    from core.studio import Studio

MAX_CHARS = 20_000
ChunkFormat = Literal["stream", "wav", "pcm", "flac", "mp3", "opus"]
_CODES = responses(400, 404, 408, 413, 429, 424, 503)
_SOUND: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Sound. X-Sample-Rate, X-Channels, X-Seed, X-First-Chunk-Ms and Server-Timing tell of it.",
        "content": {"audio/*": {"schema": {"type": "string", "format": "binary"}}},
    }
}
Text = Annotated[str, Form(min_length=1, max_length=MAX_CHARS, description="what to say")]
PromptText = Annotated[str | None, Form(max_length=2000, description="what is said in prompt_audio")]
Cfg = Annotated[float, Form(ge=1.0, le=5.0, allow_inf_nan=False, description="how closely text and voice are followed")]
Steps = Annotated[int, Form(ge=2, le=100, description="steps of the diffusion")]
MinLen = Annotated[int, Form(ge=0, le=1000, description="shortest, in patches")]
MaxLen = Annotated[int, Form(ge=1, le=8192, description="longest sentence, in patches")]
Normalize = Annotated[bool, Form(description="make wide letters and digits plain before speaking")]
Denoise = Annotated[bool, Form(description="take noise out of prompt_audio")]
Chunks = Annotated[
    ChunkFormat,
    Form(description="stream: one WAV, a header and then samples; wav: every chunk a whole WAV; pcm: bare samples"),
]
Rate = Annotated[
    int, Form(ge=0, le=192_000, description="Hz; 0: the engine's own. mp3 and opus take the next rate they have")
]
Seed = Annotated[int | None, Form(ge=0, lt=2**31, description="the same seed says it the same way")]
Model = Annotated[str, Form(max_length=100, description="an id of /v1/models; empty: the best that is here")]
Voice = Annotated[str | None, Form(max_length=80, description="a character whose best clip is the reference")]
Own = Annotated[
    str | None,
    Form(
        max_length=4000, description='the engine\'s own settings by its own names, as JSON: {"scene": "conversation"}'
    ),
]
Timeout = Annotated[float | None, Form(gt=0, le=86_400, description="deadline, s; the studio's own limit holds too")]


def router(studio: "Studio", desk: Desk) -> APIRouter:
    """The routes about speech."""
    routes = APIRouter(prefix="/api", tags=["speech"], route_class=DocumentedRoute)

    @routes.post("/tts/stream", responses={**_SOUND, **_CODES}, response_class=Response, dependencies=[ONE_FILE])
    async def tts_stream(
        request: Request, text: Text, prompt_audio: UploadFile | str | None = None, prompt_text: PromptText = None,
        cfg_value: Cfg = 2.0, inference_timesteps: Steps = 5, min_len: MinLen = 2, max_len: MaxLen = 4096,
        normalize: Normalize = False, denoise: Denoise = False,
        retry_badcase: Annotated[str | None, Form(description="not supported while streaming: refused")] = None,
        chunk_format: Chunks = "stream", sample_rate: Rate = 44100, seed: Seed = None, model: Model = "",
        voice: Voice = None, timeout_s: Timeout = None, options: Own = None,
    ) -> Response:  # fmt: skip
        """Speech while it is made.

        The default is one valid WAV of 16 bit at 44.1 kHz: a player plays it as it comes, and all pieces one after
        another are the file. An engine that has no use for cfg_value, inference_timesteps, min_len or max_len leaves
        them. 429 with Retry-After where too much waits; a client that goes away ends its request.
        """
        if retry_badcase is not None:
            raise BadInput(
                "retry_badcase is not supported while streaming: what was sent cannot be taken back.",
                "Leave it out, or use /api/tts.",
                where="retry_badcase",
            )
        own = desk.service.own_options(model, "", options)
        known = _options(cfg_value, inference_timesteps, min_len, max_len, seed) | own
        with ExitStack() as stack:
            said = _request(studio, stack, text, prompt_audio, prompt_text, denoise, normalize, model, voice, known)
            response = await stream(desk, request, said, Wanted(chunk_format, sample_rate, timeout_s))
        return response

    @routes.post("/tts", responses={**_SOUND, **_CODES}, response_class=Response, dependencies=[ONE_FILE])
    async def tts(
        request: Request, text: Text, prompt_audio: UploadFile | str | None = None, prompt_text: PromptText = None,
        cfg_value: Cfg = 2.0, inference_timesteps: Steps = 10, min_len: MinLen = 2, max_len: MaxLen = 4096,
        normalize: Normalize = False, denoise: Denoise = False,
        retry_badcase: Annotated[bool, Form(description="say a sentence again that came out far too long")] = True,
        chunk_format: Chunks = "stream", sample_rate: Rate = 44100, seed: Seed = None, model: Model = "",
        voice: Voice = None, timeout_s: Timeout = None, options: Own = None,
    ) -> Response:  # fmt: skip
        """The whole speech at once, with X-Duration-S and X-Rtf."""
        known = _options(cfg_value, inference_timesteps, min_len, max_len, seed)
        known |= {"retries": None if retry_badcase else 0} | desk.service.own_options(model, "", options)
        fmt = "stream" if chunk_format == "wav" else chunk_format
        with ExitStack() as stack:
            said = _request(studio, stack, text, prompt_audio, prompt_text, denoise, normalize, model, voice, known)
            return await whole(desk, request, said, Wanted(fmt, sample_rate, timeout_s))

    @routes.get("/gpu/status", tags=["health"])
    def gpu_status() -> dict[str, Any]:
        """The device, its memory, loaded speech models, and how many texts are spoken and wait."""
        from dataclasses import asdict

        return {
            "device": asdict(studio.status().device),
            "models": [{"key": key, "bytes": n} for key, n in desk.service.loaded().items()],
            "speech": {"active": desk.gate.active, "queued": desk.gate.queued, "limit": desk.gate.limit},
        }

    return routes


def _options(cfg: float, steps: int, min_len: int, max_len: int, seed: int | None) -> dict[str, Any]:
    """The documented fields by the engines' own names."""
    if min_len > max_len:
        raise BadInput("min_len is larger than max_len.", "Correct one of them.", where="min_len")
    return {"cfg": cfg, "steps": steps, "min_patches": min_len, "max_patches": max_len, "seed": seed}


def _request(
    studio: "Studio", stack: ExitStack, text: str, audio: UploadFile | str | None, prompt_text: str | None,
    denoise: bool, normalize: bool, model: str, voice: str | None, options: dict[str, Any],
) -> SpeechRequest:  # fmt: skip
    if not any(char.isalnum() for char in text):
        raise BadInput("There is nothing to say: the text holds no letters or numbers.", "Write it.", where="text")
    if isinstance(audio, str) and audio:
        raise BadInput("prompt_audio is a file, not text.", "Send it as multipart/form-data.", where="prompt_audio")
    path = None
    # An empty file field is how a form says "no file".
    if audio is not None and not isinstance(audio, str) and audio.filename:
        path = stack.enter_context(on_disk(audio, studio.settings))
    if path is not None and voice:
        raise BadInput("voice and prompt_audio are both given.", "Give one of them.", where="voice")
    return SpeechRequest(
        text=text, engine=model, voice=voice or None, prompt_audio=path, prompt_text=prompt_text or "",
        denoise=denoise, normalize=normalize, options=options,
    )  # fmt: skip
