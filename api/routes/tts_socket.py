"""/api/tts/ws: text in pieces as a language model writes them, speech out while it is made.

The client sends JSON: {"type": "start", "model", "voice", "chunk_format": "pcm|mp3|opus|flac", "sample_rate", "seed",
"cfg_value", "inference_timesteps", "options": {the engine's own settings}} (all but the type may be left out), then
{"type": "text", "text": "…"} as often as it likes, then {"type": "end"}; {"type": "cancel"} at any time. The server
sends {"type": "started", "sample_rate", "chunk_format", "seed"}, the sound as binary messages, and {"type": "done",
"seconds", "warnings"}; or {"type": "error", "error": {code, message, hint, where}}. After "done" and "cancelled"
another start may follow.
"""

import asyncio
import json
from typing import TYPE_CHECKING, Any, Literal

from fastapi import APIRouter, WebSocket, WebSocketDisconnect
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.types import Message

from api.speaking import Desk, Speech, Wanted, client_of
from core.errors import BadInput, StudioError
from core.service.speech import TextPieces
from core.speech.request import SpeechRequest

if TYPE_CHECKING:
    from core.studio import Studio

MAX_PIECE = 20_000
MAX_TEXT = 200_000  # of one request
_UNUSED_S = 600.0
_AHEAD = 64  # messages that may wait


class Start(BaseModel):
    """The first message of a request."""

    model_config = ConfigDict(extra="forbid")

    type: Literal["start"]
    model: str = Field(default="", max_length=100)
    voice: str | None = Field(default=None, max_length=80)
    chunk_format: Literal["pcm", "stream", "wav", "mp3", "opus", "flac"] = "pcm"
    sample_rate: int = Field(default=0, ge=0, le=192_000)
    seed: int | None = Field(default=None, ge=0, lt=2**31)
    cfg_value: float = Field(default=2.0, ge=1.0, le=5.0)
    inference_timesteps: int = Field(default=5, ge=2, le=100)
    options: dict[str, Any] = Field(default_factory=dict, max_length=40)


def router(_studio: "Studio", desk: Desk) -> APIRouter:
    """The socket."""
    routes = APIRouter()

    @routes.websocket("/api/tts/ws")
    async def talk(socket: WebSocket) -> None:
        """Requests one after another, until the client closes."""
        await socket.accept()
        inbox: asyncio.Queue[Message] = asyncio.Queue(_AHEAD)
        reader = asyncio.create_task(_read(socket, inbox))
        try:
            while True:
                try:
                    async with asyncio.timeout(_UNUSED_S):
                        message = _checked(await inbox.get())
                    if message.get("type") in ("text", "end", "cancel"):
                        continue  # the rest of a request that has ended
                    await _one(socket, inbox, desk, _start(message))
                except StudioError as err:
                    await socket.send_json({"type": "error", "error": err.to_dict()})
        except (WebSocketDisconnect, RuntimeError):  # RuntimeError: sending on a closed socket
            return
        except TimeoutError:
            await socket.close(1001, "nothing was asked for")
        finally:
            reader.cancel()

    return routes


async def _read(socket: WebSocket, inbox: "asyncio.Queue[Message]") -> None:
    """Put every message into the inbox, at last the disconnect."""
    while True:
        message = await socket.receive()
        await inbox.put(message)
        if message["type"] == "websocket.disconnect":
            return


def _checked(message: Message) -> dict[str, Any]:
    """The JSON object of a message. Raises BadInput, WebSocketDisconnect."""
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code", 1000))
    try:
        data = json.loads(message.get("text") or "")
    except ValueError:
        data = None
    if not isinstance(data, dict):
        raise BadInput("A message is a JSON object, sent as text.", "See the service's documentation.")
    return data


def _start(message: dict[str, Any]) -> Start:
    try:
        return Start.model_validate(message)
    except ValidationError as err:
        parts = [f"{'.'.join(str(step) for step in item['loc'])}: {item['msg']}" for item in err.errors()]
        raise BadInput(f"The start cannot be used: {'; '.join(parts)}.", "Correct it and start again.") from err


async def _one(socket: WebSocket, inbox: "asyncio.Queue[Message]", desk: Desk, start: Start) -> None:
    """One request: texts are taken while sound is sent."""
    pieces = TextPieces()
    options = {"seed": start.seed, "cfg": start.cfg_value, "steps": start.inference_timesteps}
    options |= desk.service.own_options(start.model, "", start.options)
    said = SpeechRequest(engine=start.model, voice=start.voice, options=options)
    speech = Speech(desk, client_of(socket), said, Wanted(start.chunk_format, start.sample_rate), pieces)
    sound = asyncio.create_task(_send(socket, speech, start.chunk_format))
    ended, n_chars = False, 0
    try:
        while (message := await _next(inbox, sound)) is not None:
            kind, piece = message.get("type"), message.get("text")
            if kind == "cancel":
                sound.cancel()
                await asyncio.gather(sound, return_exceptions=True)
                await socket.send_json({"type": "cancelled"})
                return
            if kind == "end" and not ended:
                ended = True
                pieces.put(None)
            elif kind == "text" and not ended and isinstance(piece, str) and len(piece) <= MAX_PIECE:
                n_chars += len(piece)
                if n_chars > MAX_TEXT:
                    raise BadInput(f"One request holds {MAX_TEXT} characters at most.", "Start another for the rest.")
                pieces.put(piece)
            else:
                what = f'{{"type": "text", "text": up to {MAX_PIECE} characters}}, then "end"; or "cancel"'
                raise BadInput(f"Send {what}.", "Start again.")
        await sound
    finally:
        sound.cancel()
        await asyncio.gather(sound, return_exceptions=True)
        await speech.end()


async def _next(inbox: "asyncio.Queue[Message]", sound: "asyncio.Task[None]") -> dict[str, Any] | None:
    """The next message; None once the sound has ended."""
    waiting = asyncio.create_task(inbox.get())
    try:
        await asyncio.wait({waiting, sound}, return_when=asyncio.FIRST_COMPLETED)
        return _checked(waiting.result()) if waiting.done() else None
    finally:
        waiting.cancel()


async def _send(socket: WebSocket, speech: Speech, fmt: str) -> None:
    await speech.begin()
    speaking = speech.speaking
    assert speaking is not None
    head = {"type": "started", "sample_rate": speech.rate_hz, "chunk_format": fmt, "seed": speaking.seed}
    await socket.send_json(head)
    async for data in speech.sound():
        await socket.send_bytes(data)
    seconds = round(speech.n_samples / speech.rate_hz, 3)
    await socket.send_json({"type": "done", "seconds": seconds, "warnings": list(speaking.warnings)})
