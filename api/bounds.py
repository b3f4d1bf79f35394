"""How large a request's body may be, and how long it may pause: counted while it comes, before anything is kept."""

import asyncio
import re

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import answer
from core.errors import BadInput

_OURS = re.compile(r"/(api|v1)(/|$)")
_SLACK_BYTES = 1 << 20  # the frame of a multipart body, and its text fields


class Bounds:
    """ASGI middleware: answers 413 to a body of the API above `file_bytes` (multipart) or `other_bytes`, and 408 to one
    that stops for `idle_s`."""

    def __init__(self, app: ASGIApp, file_bytes: int, other_bytes: int = 4 << 20, idle_s: float = 60.0) -> None:
        self.app, self.file_bytes, self.other_bytes, self.idle_s = app, file_bytes, other_bytes, idle_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand the request on, with its body counted."""
        if scope["type"] != "http" or not _OURS.match(scope["path"]):
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        multipart = headers.get("content-type", "").lower().startswith("multipart/form-data")
        limit = self.file_bytes + _SLACK_BYTES if multipart else self.other_bytes
        refusal: Response = answer(
            BadInput(f"The request is larger than {limit >> 20} MiB.", "Send less at once; see max_upload_mb."), 413
        )
        declared = headers.get("content-length", "")
        if declared.isascii() and declared.isdigit() and int(declared) > limit:
            await refusal(scope, receive, send)
            return
        n_bytes, passed, begun, whole = 0, False, False, False

        async def counted() -> Message:
            nonlocal n_bytes, passed, refusal, whole
            if whole:
                return await receive()  # whoever asks now waits for the client to go
            try:
                async with asyncio.timeout(self.idle_s):
                    message = await receive()
            except TimeoutError:
                passed, refusal = True, _stopped(self.idle_s)
                return {"type": "http.disconnect"}
            whole = not message.get("more_body", False)
            n_bytes += len(message.get("body", b""))
            if n_bytes > limit:
                passed = True
                return {"type": "http.disconnect"}  # whoever reads the body gives up
            return message

        async def watched(message: Message) -> None:
            nonlocal begun
            if passed and not begun:
                return  # the answer to a cut body is not the answer
            begun = True
            await send(message)

        try:
            await self.app(scope, counted, watched)
        finally:
            if passed and not begun:
                await refusal(scope, receive, send)


def _stopped(idle_s: float) -> Response:
    return answer(BadInput(f"Nothing of the request came for {idle_s:g} s.", "Send it again."), 408)
