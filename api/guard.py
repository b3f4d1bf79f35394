"""Who may speak to the server: pure ASGI, around everything including the page and its sockets.

On loopback the danger is another page in the user's own browser: DNS rebinding (a foreign name that resolves to
127.0.0.1; the Host header gives it away) and cross-site requests (the Origin header does). Beyond loopback it is
everybody: there a token is asked for, once by a form or `?token=`, then by cookie, or as `Authorization: Bearer`.
"""

import asyncio
import fnmatch
import hashlib
import hmac
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

from starlette.datastructures import Headers
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from core.settings import is_loopback

COOKIE = "timbre_session"
OPEN_PATHS = frozenset({"/health"})
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_FORM_BYTES = 4096
_WRONG_TOKEN_DELAY_S = 0.5
_FORM = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Timbre Studio</title>
<style>body{font:15px system-ui;display:grid;place-items:center;height:90vh;margin:0}
input,button{font:inherit;padding:6px}
</style><form method="post" action="/login"><label>Token&ensp;令牌&ensp;
<input type="password" name="token" autofocus autocomplete="current-password"></label>
<button>Open / 打开</button></form></html>"""


def host_name(netloc: str) -> str:
    """`127.0.0.1:7860` -> `127.0.0.1`, `[::1]:80` -> `::1`; empty for what is no host."""
    try:
        return urlsplit(f"//{netloc}").hostname or ""
    except ValueError:
        return ""


@dataclass(frozen=True)
class Rules:
    """What the guard enforces.

    Attributes:
        host: address the server listens on.
        token: secret to show; None asks for none.
        allowed_hosts: further host names that are us, `*` as wildcard (a proxy such as Colab's).
    """

    host: str = "127.0.0.1"
    token: str | None = None
    allowed_hosts: tuple[str, ...] = ()

    def known_host(self, name: str) -> bool:
        """True if a request for host `name` is meant for us."""
        if any(fnmatch.fnmatchcase(name.lower(), pattern.lower()) for pattern in self.allowed_hosts):
            return True
        if not is_loopback(self.host):
            return True  # reached by whatever name the network gives us; the token decides
        return name == self.host or (bool(name) and is_loopback(name))

    def same_origin(self, origin: str, host_header: str) -> bool:
        """True if `origin` (an Origin header) is the page that we served under `host_header`."""
        parts = urlsplit(origin)
        if not parts.netloc:
            return False  # "null": a sandboxed frame or a file
        named = any(fnmatch.fnmatchcase((parts.hostname or "").lower(), p.lower()) for p in self.allowed_hosts)
        return named or parts.netloc.lower() == host_header.lower()

    def session(self) -> str:
        """Value of the cookie: proves the token without holding it."""
        return hmac.new((self.token or "").encode(), b"timbre session", hashlib.sha256).hexdigest()

    def knows(self, shown: str) -> bool:
        """True if `shown` is the token (compared in constant time)."""
        return self.token is not None and hmac.compare_digest(shown.encode(), self.token.encode())

    def has_session(self, cookie_header: str) -> bool:
        """True if the Cookie header carries our session."""
        try:
            morsel = SimpleCookie(cookie_header).get(COOKIE)
        except CookieError:
            return False
        return morsel is not None and hmac.compare_digest(morsel.value.encode(), self.session().encode())


class Guard:
    """ASGI middleware that enforces `Rules` before anything else sees the request."""

    def __init__(self, app: ASGIApp, rules: Rules) -> None:
        self.app = app
        self.rules = rules

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand the request on, or answer it here."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        refusal = self._misdirected(scope, headers)
        if refusal is None and self.rules.token is not None and scope["path"] not in OPEN_PATHS:
            refusal = await self._unproven(scope, headers, receive)
        if refusal is None:
            await self.app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": "refused"})
        else:
            await refusal(scope, receive, send)

    def _misdirected(self, scope: Scope, headers: Headers) -> Response | None:
        host = headers.get("host", "")
        if not self.rules.known_host(host_name(host)):
            return _refuse(421, f"This studio does not answer to the name {host_name(host)!r}.",
                           "Open it by the address it printed, or start it with --allow-host NAME.")  # fmt: skip
        changes = scope["type"] == "websocket" or scope["method"] not in _SAFE
        origin = headers.get("origin")
        if changes and origin is not None and not self.rules.same_origin(origin, host):
            return _refuse(403, "A page of another origin may not use this studio.", "Use the studio's own page.")
        if changes and origin is None and headers.get("sec-fetch-site") == "cross-site":
            return _refuse(403, "A page of another origin may not use this studio.", "Use the studio's own page.")
        return None

    async def _unproven(self, scope: Scope, headers: Headers, receive: Receive) -> Response | None:
        scheme, _, bearer = headers.get("authorization", "").partition(" ")
        # Header bytes reach us as Latin-1; a token may be UTF-8.
        if scheme.lower() == "bearer" and self.rules.knows(
            bearer.strip(" ").encode("latin-1").decode("utf-8", "replace")
        ):
            return None
        if self.rules.has_session(headers.get("cookie", "")):
            return None
        if scope["type"] == "http" and scope["path"] == "/login" and scope["method"] == "POST":
            return await self._login(receive)
        shown = _query(scope).get("token", "")
        if shown and self.rules.knows(shown):
            if scope["type"] != "http" or scope["method"] != "GET":
                return None
            rest = [(key, value) for key, value in parse_qsl(scope["query_string"].decode()) if key != "token"]
            return self._welcome(scope["path"] + (f"?{urlencode(rest)}" if rest else ""))
        if shown:
            await asyncio.sleep(_WRONG_TOKEN_DELAY_S)
        if scope["type"] == "http" and scope["method"] == "GET" and "text/html" in headers.get("accept", ""):
            return HTMLResponse(_FORM, 401)
        return _refuse(401, "This studio asks for its token.", "Send it as 'Authorization: Bearer TOKEN'.")

    async def _login(self, receive: Receive) -> Response:
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if len(body) > _FORM_BYTES:
                return _refuse(413, "That is no token.", "Send the form of this page.")
            if not message.get("more_body"):
                break
        shown = parse_qs(body.decode("utf-8", "replace")).get("token", [""])[0]
        if self.rules.knows(shown):
            return self._welcome("/")
        await asyncio.sleep(_WRONG_TOKEN_DELAY_S)
        return HTMLResponse(_FORM, 401)

    def _welcome(self, path: str) -> Response:
        # One slash only: `//elsewhere` would be a redirect to another host.
        response = RedirectResponse("/" + path.lstrip("/\\"), 303)
        response.set_cookie(COOKIE, self.rules.session(), httponly=True, samesite="lax", max_age=30 * 86400)
        return response


def _query(scope: Scope) -> dict[str, str]:
    pairs: Iterable[tuple[str, Sequence[str]]] = parse_qs(scope["query_string"].decode("latin-1")).items()
    return {key: values[0] for key, values in pairs}


def _refuse(status: int, message: str, hint: str) -> Response:
    error = {"code": "refused", "message": message, "hint": hint, "where": ""}
    return JSONResponse({"ok": False, "error": error}, status)
