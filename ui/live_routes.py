"""The socket of live conversion in the page: the browser's microphone in, the converted voice out.

The page sends one JSON message {"rate_hz", "options": fields of RealtimeOptions}, is answered {"type": "ready",
"latency_ms"} once the voice is loaded, then sends its sound and gets the converted sound as binary messages: 32-bit
floats, little-endian, mono, at its own rate. {"type": "standing", ...} comes now and then; {"type": "error", "error"}
is the last message of a session that went wrong.
"""

import asyncio
import json
from contextlib import ExitStack
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, WebSocket, WebSocketDisconnect

from core.errors import BadInput, StudioError

if TYPE_CHECKING:
    from core.realtime.session import LiveSession
    from core.studio import Studio

_MOST_BYTES = 4 * 192_000  # a second of sound at the highest rate
_TOLD_EVERY = 4  # blocks


def router(studio: "Studio") -> APIRouter:
    """The socket, at /ui-live."""
    routes = APIRouter()

    @routes.websocket("/ui-live")
    async def live(socket: WebSocket) -> None:
        await socket.accept()
        with ExitStack() as stack:
            try:
                session = await _opened(studio, socket, stack)
                await _converse(socket, session)
            except WebSocketDisconnect:
                return
            except StudioError as err:
                await socket.send_json({"type": "error", "error": err.to_dict()})
                await socket.close()

    return routes


async def _opened(studio: "Studio", socket: WebSocket, stack: ExitStack) -> "LiveSession":
    try:
        asked = json.loads(await socket.receive_text())
        rate_hz, options = int(asked["rate_hz"]), dict(asked["options"])
    except (ValueError, KeyError, TypeError) as err:
        raise BadInput("The first message must be JSON with rate_hz and options.", "Reload the page.") from err
    session = await asyncio.to_thread(stack.enter_context, studio.live.open(options, rate_hz))
    await socket.send_json({"type": "ready", "latency_ms": round(1000 * session.plan.latency_s, 1)})
    return session


async def _converse(socket: WebSocket, session: "LiveSession") -> None:
    import numpy as np

    told = 0
    while True:
        message: dict[str, Any] = dict(await socket.receive())
        data = message.get("bytes")
        if message["type"] == "websocket.disconnect" or data is None:
            return
        if len(data) > _MOST_BYTES or len(data) % 4:
            raise BadInput("That is no sound: at most a second of 32-bit floats a message.", "Reload the page.")
        made = await asyncio.to_thread(session.push, np.frombuffer(data, "<f4").astype(np.float32))
        if made.size:
            await socket.send_bytes(made.astype("<f4").tobytes())
        standing = session.standing
        if standing.blocks >= told + _TOLD_EVERY:
            told = standing.blocks
            await socket.send_json({"type": "standing", **asdict(standing)})
