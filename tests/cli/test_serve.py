"""Choosing an address: ports that are taken, addresses that are not ours, the browser."""

import argparse
import os
import socket
from pathlib import Path

import pytest

from cli.serve import bind, read_token, url_of, wants_browser
from core.errors import BadInput
from core.settings import load_settings


def test_a_taken_port_leads_to_the_next() -> None:
    with bind("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        if port > 65000:
            pytest.skip("no room above")
        with bind("127.0.0.1", port) as second:
            assert second.getsockname()[1] > port


def test_a_bound_socket_listens_at_once() -> None:
    with bind("localhost", 0) as listener, socket.create_connection(listener.getsockname()[:2], timeout=5):
        pass


@pytest.mark.parametrize("host", ["no such host.invalid", "203.0.113.7"])
def test_addresses_that_are_not_ours(host: str) -> None:
    with pytest.raises(BadInput):
        bind(host, 7860)


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:7861/"),
        ("localhost", "http://localhost:7861/"),
        ("0.0.0.0", "http://127.0.0.1:7861/"),
        ("::1", "http://[::1]:7861/"),
    ],
)
def test_the_url_is_one_to_open(host: str, url: str, workspace: Path) -> None:
    settings = load_settings({"workspace": str(workspace), "host": host, "port": 7861, "token": "t"}, env={})
    assert url_of(settings) == url


def test_no_browser_under_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    options = argparse.Namespace(no_browser=False, api_only=False)
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.delenv("CI", raising=False)
    assert wants_browser(options)
    assert not wants_browser(argparse.Namespace(no_browser=True, api_only=False))
    assert not wants_browser(argparse.Namespace(no_browser=False, api_only=True))
    monkeypatch.setenv("CI", "true")
    assert not wants_browser(options)
    monkeypatch.delenv("CI")
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    if os.name == "posix" and os.uname().sysname == "Linux":
        assert not wants_browser(options), "a server without a screen"


def test_the_token_may_lie_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "token 令牌"
    file.write_text("  a secret \nsecond line\n", encoding="utf-8")
    assert read_token(file) == "a secret"
    with pytest.raises(BadInput, match="both"):
        read_token(file, "other")
    file.write_text("\n")
    with pytest.raises(BadInput, match="empty"):
        read_token(file)
    with pytest.raises(BadInput, match="cannot be read"):
        read_token(tmp_path / "none")
