"""StudioError as HTTP: a status code by kind, the body {"ok": false, "error": {code, message, hint, where}}."""

import logging

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

from core.errors import BadInput, StudioError

STATUS: dict[str, int] = {
    "bad_input": 422,
    "not_found": 404,
    "conflict": 409,
    "no_space": 507,
    "model_file": 422,
    "unavailable": 503,
    "cancelled": 409,
}
_LOG = logging.getLogger("api")


def answer(error: StudioError, status: int | None = None) -> JSONResponse:
    """The error as a response; `status` overrides the code's own."""
    return JSONResponse({"ok": False, "error": error.to_dict()}, status or STATUS.get(error.code, 500))


def install(app: FastAPI) -> None:
    """Make `app` answer StudioErrors, bad requests and surprises in this one form."""

    async def on_studio_error(_request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, StudioError)
        return answer(error)

    async def on_bad_request(_request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        parts = [f"{'.'.join(str(step) for step in item['loc'])}: {item['msg']}" for item in error.errors()]
        return answer(BadInput(f"The request cannot be used: {'; '.join(parts)}.", "Correct it; /docs shows its form."))

    async def on_surprise(request: Request, error: Exception) -> JSONResponse:
        # The door's boundary: the traceback goes to the log, the caller gets a sentence.
        _LOG.error("%s %s failed", request.method, request.url.path, exc_info=error)
        return answer(StudioError("Something went wrong inside the studio.", "The studio's log has the details."), 500)

    app.add_exception_handler(StudioError, on_studio_error)
    app.add_exception_handler(RequestValidationError, on_bad_request)
    app.add_exception_handler(Exception, on_surprise)
