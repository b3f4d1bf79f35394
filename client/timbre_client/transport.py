"""What both clients share: one connection, the token, and errors that say what the service said."""

from types import TracebackType
from typing import Any, Self

import httpx


class ServiceError(Exception):
    """The service refused. `status` is the HTTP code, `body` what it sent, `str()` its message and hint.

    `retry_after_s`: when to come again, where too much waits (429) or the server is closing (503).
    """

    def __init__(self, status: int, body: Any, retry_after_s: float | None = None) -> None:
        error = body.get("error", {}) if isinstance(body, dict) else {}
        said = " ".join(filter(None, (error.get("message"), error.get("hint")))) or str(body)
        super().__init__(f"{status}: {said}")
        self.status, self.body, self.retry_after_s = status, body, retry_after_s


class Connection:
    """An HTTP connection to a studio; use it in a `with` block, or close it."""

    def __init__(
        self, base_url: str = "http://127.0.0.1:7860", token: str | None = None, timeout_s: float = 60.0
    ) -> None:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self.http = httpx.Client(base_url=base_url, headers=headers, timeout=timeout_s)

    def close(self) -> None:
        """Close the connection."""
        self.http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def call(self, method: str, path: str, **arguments: Any) -> Any:
        """One request; returns the JSON. Raises ServiceError, httpx.TransportError."""
        return checked(self.http.request(method, path, **arguments)).json()


def checked(response: httpx.Response) -> httpx.Response:
    """The response, if it is a success. Raises ServiceError."""
    if response.is_success:
        return response
    response.read()
    try:
        body = response.json()
    except ValueError:
        body = response.text
    again = response.headers.get("retry-after", "")
    raise ServiceError(response.status_code, body, float(again) if again.isdigit() else None)
