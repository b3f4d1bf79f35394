"""Who gets in: host names, origins, the token. Over a bare application, so that only the guard can refuse."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect

from api.guard import COOKIE, Guard, Rules, host_name

TOKEN = "correct horse 电池"


async def hello(request: Request) -> PlainTextResponse:
    return PlainTextResponse(f"hello {request.url.query}")


async def echo(socket: WebSocket) -> None:
    await socket.accept()
    await socket.send_text("in")
    await socket.close()


def client(rules: Rules, base_url: str = "http://127.0.0.1:7860") -> TestClient:
    paths = [Route(path, hello, methods=["GET", "POST"]) for path in ("/", "/health", "/page")]
    inner = Starlette(routes=[*paths, WebSocketRoute("/ws", echo)])
    return TestClient(Guard(inner, rules), base_url=base_url, follow_redirects=False)


@pytest.mark.parametrize("host", ["127.0.0.1:7860", "localhost:7860", "[::1]:7860", "127.0.0.1"])
def test_loopback_names_get_in(host: str) -> None:
    assert client(Rules()).get("/", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example:7860", "192.168.1.5", "localhost.evil", "", "[::"]
)
def test_foreign_names_are_rebinding(host: str) -> None:
    answer = client(Rules()).get("/health", headers={"host": host})
    assert answer.status_code == 421
    assert answer.json()["error"]["code"] == "refused"


def test_allowed_host_is_a_pattern() -> None:
    browser = client(Rules(allowed_hosts=("*.proxy.example",)))
    assert browser.get("/", headers={"host": "abc-7860.proxy.example"}).status_code == 200
    assert browser.get("/", headers={"host": "proxy.example.evil"}).status_code == 421
    # Behind a proxy the Host may be ours and the Origin the proxy's.
    assert browser.post("/", headers={"origin": "https://abc-7860.proxy.example"}).status_code == 200


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://127.0.0.1:9999", "https://", "http://localhost:7860"]
)
def test_other_origins_change_nothing(origin: str) -> None:
    browser = client(Rules())
    assert browser.post("/", headers={"origin": origin}).status_code == 403
    assert browser.get("/", headers={"origin": origin}).status_code == 200, "reading is the browser's own to refuse"


def test_own_origin_and_programs_may_change() -> None:
    browser = client(Rules())
    assert browser.post("/", headers={"origin": "http://127.0.0.1:7860"}).status_code == 200
    assert browser.post("/").status_code == 200
    assert browser.post("/", headers={"sec-fetch-site": "cross-site"}).status_code == 403


def test_sockets_are_guarded_too() -> None:
    browser = client(Rules())
    with browser.websocket_connect("ws://127.0.0.1:7860/ws", headers={"origin": "http://127.0.0.1:7860"}) as socket:
        assert socket.receive_text() == "in"
    with (
        pytest.raises(WebSocketDisconnect) as refused,
        browser.websocket_connect("ws://127.0.0.1:7860/ws", headers={"origin": "http://evil.example"}),
    ):
        pass
    assert refused.value.code == 1008
    with pytest.raises(WebSocketDisconnect), client(Rules(token=TOKEN)).websocket_connect("ws://127.0.0.1:7860/ws"):
        pass


def test_token_by_header() -> None:
    browser = client(Rules(host="0.0.0.0", token=TOKEN), "http://studio.lan:7860")
    assert browser.get("/page").status_code == 401
    assert browser.get("/page", headers={"authorization": "Bearer wrong"}).status_code == 401
    bearer = b"Bearer " + TOKEN.encode()
    assert browser.get("/page", headers={b"authorization": bearer}).status_code == 200
    plain = client(Rules(host="0.0.0.0", token="plain-token"), "http://studio.lan:7860")
    assert plain.get("/page", headers={"authorization": "bearer plain-token"}).status_code == 200


def test_health_needs_no_token() -> None:
    assert client(Rules(host="0.0.0.0", token=TOKEN), "http://studio.lan").get("/health").status_code == 200


def test_token_by_link_becomes_a_cookie() -> None:
    browser = client(Rules(token=TOKEN))
    welcome = browser.get("/page", params={"a": "1 2", "token": TOKEN})
    assert welcome.status_code == 303
    assert welcome.headers["location"] == "/page?a=1+2", "the token leaves the address bar"
    cookie = welcome.headers["set-cookie"]
    assert "httponly" in cookie.lower()
    assert "samesite=lax" in cookie.lower()
    assert TOKEN not in cookie
    assert browser.get("/page").status_code == 200
    other = client(Rules(token="another"))
    other.cookies.set(COOKIE, browser.cookies[COOKIE])
    assert other.get("/page").status_code == 401


def test_token_by_form() -> None:
    browser = client(Rules(token=TOKEN))
    form = browser.get("/", headers={"accept": "text/html"})
    assert form.status_code == 401
    assert 'action="/login"' in form.text
    assert browser.post("/login", data={"token": "wrong"}).status_code == 401
    assert browser.post("/login", content=b"x" * 5000).status_code == 413
    assert browser.post("/login", data={"token": TOKEN}).status_code == 303
    assert browser.get("/").status_code == 200


def test_welcome_never_leads_elsewhere() -> None:
    browser = client(Rules(token=TOKEN))
    welcome = browser.get("http://127.0.0.1:7860//evil.example/", params={"token": TOKEN})
    assert welcome.headers["location"] == "/evil.example/"


@pytest.mark.parametrize("cookie", ["", "=;;;", f"{COOKIE}=", f"{COOKIE}=wrong", f'{COOKIE}="\\', "\x01=2"])
def test_damaged_cookies_do_not_pass(cookie: str) -> None:
    assert not Rules(token=TOKEN).has_session(cookie)


@given(st.text())
def test_any_host_header_is_survived(text: str) -> None:
    Rules().known_host(host_name(text))


@given(st.text())
def test_only_the_token_is_the_token(text: str) -> None:
    assert Rules(token=TOKEN).knows(text) == (text == TOKEN)
