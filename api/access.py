"""Every request of the API, every socket, and every refusal, as one JSON line in `access.log`; and counted.

Query strings are left out: they may hold a token. Requests of the page that went well are left out too: it asks every
second.
"""

import json
import logging
import re
import time
from logging.handlers import RotatingFileHandler
from pathlib import Path

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.metrics import METRICS

_OURS = re.compile(r"/(api|v1|metrics)(/|$)")
BEGAN = "timbre.began"
"""When a request came here (time.monotonic), in its scope: its body is still to be read and parsed then."""
_MAX_BYTES = 5 << 20
_BACKUPS = 4
_log = logging.getLogger("api.access")


class _Quiet(RotatingFileHandler):
    def handleError(self, record: logging.LogRecord) -> None:
        """A full disk costs lines of the log, nothing else."""


def _method(scope: Scope) -> str:
    return str(scope["method"]) if scope["type"] == "http" else "WEBSOCKET"


class Access:
    """ASGI middleware around everything, the guard included."""

    def __init__(self, app: ASGIApp, log_dir: Path, name: str = "access") -> None:
        self.app, self._log_dir, self._name = app, log_dir, name
        self._handler: logging.Handler | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand the request on and note how it ended."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        began, status, n_bytes, whole = time.monotonic(), 0, 0, False
        scope[BEGAN] = began

        async def noted(message: Message) -> None:
            nonlocal status, n_bytes, whole
            if message["type"] == "http.response.start":
                status = message["status"]
            elif message["type"] == "http.response.body":
                n_bytes += len(message.get("body", b""))
                whole = not message.get("more_body", False)
            elif message["type"] == "websocket.accept":
                status = 101
            elif message["type"] == "websocket.close":
                status, whole = status or 403, True
            elif message["type"] == "websocket.send":
                n_bytes += len(message.get("bytes") or message.get("text") or b"")
            await send(message)

        try:
            await self.app(scope, receive, noted)
        finally:
            spent_s = time.monotonic() - began
            path = scope["path"]
            if _OURS.match(path) or status >= 400:
                route = getattr(scope.get("route"), "path", "") or "none"
                METRICS.add("timbre_http_requests_total", method=_method(scope), route=route, status=str(status))
                if scope["type"] == "http":
                    METRICS.observe("timbre_http_request_seconds", spent_s)
                self._write(scope, status, n_bytes, whole, spent_s)

    def _write(self, scope: Scope, status: int, n_bytes: int, whole: bool, spent_s: float) -> None:
        if self._handler is None:
            self._log_dir.mkdir(parents=True, exist_ok=True)
            self._handler = _Quiet(
                self._log_dir / f"{self._name}.log",
                maxBytes=_MAX_BYTES,
                backupCount=_BACKUPS,
                encoding="utf-8",
                delay=True,
            )
        client = scope.get("client")
        row = {
            "time": round(time.time(), 3), "client": client[0] if client else None, "method": _method(scope),
            "path": scope["path"], "status": status, "ms": round(1000 * spent_s, 1), "bytes": n_bytes, "whole": whole,
        }  # fmt: skip
        text = json.dumps(row, ensure_ascii=True)  # a name from outside cannot begin a new line
        self._handler.emit(logging.makeLogRecord({"msg": text.replace("%", "%%"), "levelno": logging.INFO}))

    def close(self) -> None:
        """Close the file."""
        if self._handler is not None:
            self._handler.close()
