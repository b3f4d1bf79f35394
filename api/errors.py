"""StudioError as HTTP: a status code by kind, the body {"ok": false, "error": {code, message, hint, where}, "detail"}.

`detail` repeats the message, since clients of FastAPI services look there.
"""

import logging
import os
import re

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from core.errors import BadInput, StudioError

STATUS: dict[str, int] = {
    "bad_input": 422,
    "not_found": 404,
    "conflict": 409,
    "no_space": 507,
    "model_file": 422,
    "unavailable": 424,  # not 503: asking again, as clients do after a 5xx, brings no model here
    "in_use": 503,
    "cancelled": 409,
    "too_many": 429,
    "too_late": 408,
    "closing": 503,
}
_LOG = logging.getLogger("api")


def answer(error: StudioError, status: int | None = None) -> JSONResponse:
    """The error as a response; `status` overrides the code's own."""
    told = error.to_dict()
    if os.path.isabs(told["where"]):
        told["where"] = os.path.basename(told["where"])  # where the server keeps things is its own business
    body = {"ok": False, "error": told, "detail": error.message}
    retry_after_s = getattr(error, "retry_after_s", None)
    headers = {"Retry-After": str(retry_after_s)} if retry_after_s is not None else None
    return JSONResponse(body, status or STATUS.get(error.code, 500), headers)


def install(app: FastAPI) -> None:
    """Make `app` answer StudioErrors and bad requests in this one form."""

    async def on_studio_error(_request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, StudioError)
        return answer(error)

    async def on_bad_request(_request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        parts = [f"{'.'.join(str(step) for step in item['loc'])}: {item['msg']}" for item in error.errors()]
        return answer(BadInput(f"The request cannot be used: {'; '.join(parts)}.", "Correct it; /docs shows its form."))

    async def on_http_error(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        response = answer(StudioError(f"{error.detail}.", "/docs lists what there is."), error.status_code)
        response.headers.update(error.headers or {})
        if error.status_code == 405:
            response.headers["Allow"] = ", ".join(_methods(app, request.url.path))
        return response

    app.add_exception_handler(StudioError, on_studio_error)
    app.add_exception_handler(HTTPException, on_http_error)
    app.add_exception_handler(RequestValidationError, on_bad_request)


def _methods(app: FastAPI, path: str) -> list[str]:
    """What a path takes by the OpenAPI document; a router names the methods of its first route alone."""
    found: set[str] = set()
    for template, item in app.openapi()["paths"].items():
        if re.fullmatch(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(template)), path):
            found |= {method.upper() for method in item}
    return sorted(found)


class Surprises:
    """ASGI middleware: what nobody foresaw becomes one sentence, with the traceback in the log.

    Not an exception handler, because Starlette raises the error again behind one and the server then prints it.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand the request on; answer 500 where nothing was answered yet."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        begun = False

        async def watch(message: Message) -> None:
            nonlocal begun
            begun = begun or message["type"] == "http.response.start"
            await send(message)

        try:
            await self.app(scope, receive, watch)
        except Exception as err:  # the door's boundary
            _LOG.error("%s %s failed", scope["method"], scope["path"], exc_info=err)
            if begun:
                raise  # half an answer cannot be taken back: let the server cut the connection
            hint = "The details are in the studio's log."
            await answer(StudioError("Something went wrong inside the studio.", hint), 500)(scope, receive, send)
