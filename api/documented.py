"""Routes whose status codes a document fixes: 400 for what cannot be done, 409 only for a job that runs already."""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from pydantic import BaseModel

from api.errors import answer
from core.errors import BadInput, Conflict
from core.service.errors import Busy


class ErrorDetail(BaseModel):
    """What is wrong, what to do, and in which field or file."""

    code: str
    message: str
    hint: str = ""
    where: str = ""


class ErrorBody(BaseModel):
    """Every error of the service. `detail` repeats the message for clients that look there."""

    ok: bool = False
    error: ErrorDetail
    detail: str


def responses(*codes: int) -> dict[int | str, dict[str, Any]]:
    """These status codes for OpenAPI, beside those that every route may answer."""
    words = {
        400: "cannot be done as things are", 401: "the token is missing", 404: "not found",
        409: "a job for it runs already", 413: "too large", 422: "a field is missing, unknown or out of range",
        408: "the deadline has passed", 429: "too many requests; Retry-After says when to come again",
        424: "a model or a program that this needs is not on this machine", 507: "the disk is full",
        503: "the server is closing, or its database is held",
    }  # fmt: skip
    return {code: {"model": ErrorBody, "description": words[code]} for code in sorted({401, 422, *codes})}


class DocumentedRoute(APIRoute):
    """Answers BadInput and Conflict with 400, as the character service's document says; Busy stays 409."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler with that translation."""
        handle = super().get_route_handler()

        async def translated(request: Request) -> Response:
            try:
                return await handle(request)
            except Busy:
                raise
            except (BadInput, Conflict) as err:
                return answer(err, 400)

        return translated
