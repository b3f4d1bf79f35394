"""The endpoint's settings and key: outside the project, for this user only, never shown."""

import os
import stat
from pathlib import Path

import pytest

from core.errors import BadInput
from core.paths import REPO_ROOT
from core.subtitles import endpoint_config
from core.subtitles.endpoint_config import (
    KEY_VARIABLE,
    EndpointConfig,
    config_dir,
    load_config,
    load_key,
    save_config,
    save_key,
)  # fmt: skip
from core.subtitles.options import parse_options


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "config"
    monkeypatch.setattr(endpoint_config, "config_dir", lambda: folder)
    monkeypatch.delenv(KEY_VARIABLE, raising=False)
    return folder


def test_it_lies_outside_the_project() -> None:
    assert not config_dir().is_relative_to(REPO_ROOT)


def test_keys_come_and_go(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_key() is None
    path = save_key("  sk-one\n")
    first = load_key()
    assert first is not None
    assert first.get_secret_value() == "sk-one"
    assert "sk-one" not in f"{first!r} {first}"
    if os.name == "posix":
        path.chmod(0o644)
        save_key("sk-two")
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    monkeypatch.setenv(KEY_VARIABLE, "sk-env")
    from_env = load_key()
    assert from_env is not None
    assert from_env.get_secret_value() == "sk-env"
    monkeypatch.delenv(KEY_VARIABLE)
    save_key("")
    assert load_key() is None
    assert [one.name for one in home.iterdir()] == []


@pytest.mark.parametrize("key", ["two words", "naïve", "a\nb"])
def test_what_is_no_key(key: str) -> None:
    with pytest.raises(BadInput, match="no key"):
        save_key(key)


def test_settings_round_trip_without_a_key(home: Path) -> None:
    assert load_config() is None
    config = parse_options(EndpointConfig, {"base_url": "https://host/v1/", "model": "m"})
    save_config(config)
    save_key("sk-secret")
    assert load_config() == config
    assert "sk-secret" not in (home / "endpoint.json").read_text()
    assert config.chat_url == "https://host/v1/chat/completions"
    for damaged in ("{", "[1]", '{"base_url": "https://x", "modell": "m"}'):
        (home / "endpoint.json").write_text(damaged)
        with pytest.raises(BadInput):
            load_config()


@pytest.mark.parametrize(
    "url", ["host/v1", "ftp://host", "http://", "https://user:pass@host/v1", "https://host/v1?key=1", "https://host:x/"]
)
def test_addresses_that_cannot_be(url: str) -> None:
    with pytest.raises(BadInput, match="base_url"):
        parse_options(EndpointConfig, {"base_url": url, "model": "m"})


@pytest.mark.parametrize(
    ("url", "may"),
    [
        ("https://api.example.com/v1", True), ("http://127.0.0.1:8080/v1", True), ("http://localhost:11434/v1", True),
        ("http://192.168.1.5/v1", True), ("http://box.local/v1", True), ("http://ollama:11434/v1", True),
        ("http://api.example.com/v1", False), ("http://8.8.8.8/v1", False),
    ],
)  # fmt: skip
def test_where_a_key_may_go(url: str, may: bool) -> None:
    assert parse_options(EndpointConfig, {"base_url": url, "model": "m"}).may_carry_key is may
