"""Which language model a person uses to clean subtitles, and its key.

Both lie in the user's configuration folder, outside the project and the workspace: a workspace is copied, shared and
backed up, a key is not. The key may also come from the environment; it is never logged, printed or put in a result.
"""

import ipaddress
import json
import os
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from core import atomic
from core.errors import BadInput
from core.settings import is_loopback
from core.subtitles.options import parse_options

KEY_VARIABLE = "STUDIO_LLM_KEY"
"""Environment variable of the key; it wins over the file."""


class EndpointConfig(BaseModel):
    """An OpenAI-compatible endpoint. Holds no key, so that it can be shown and logged."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    base_url: str = Field(description="address up to and with the version, such as http://127.0.0.1:11434/v1")
    model: str = Field(min_length=1, max_length=200, description="name of the model at that address")
    context_tokens: int = Field(
        default=8192, ge=1024, le=2_000_000, description="what the model reads and writes at most"
    )
    timeout_s: float = Field(default=180.0, ge=1.0, le=3600.0, description="longest wait for one answer, s")
    retries: int = Field(default=4, ge=0, le=20, description="tries more, after an answer that says to try again")
    temperature: float | None = Field(default=0.0, ge=0.0, le=2.0, description="None: the model's own")

    @model_validator(mode="after")
    def _usable_address(self) -> Self:
        try:
            parts = urlsplit(self.base_url)
            host, _ = parts.hostname, parts.port
        except ValueError as err:
            raise ValueError(f"base_url is no address: {err}") from err
        if parts.scheme not in ("http", "https") or not host:
            raise ValueError("base_url must begin with http:// or https:// and name a machine")
        if parts.username or parts.password or parts.query or parts.fragment:
            raise ValueError("base_url must hold no name, password or query; the key is stored apart")
        return self

    @property
    def chat_url(self) -> str:
        """Where requests go."""
        return self.base_url.rstrip("/").removesuffix("/chat/completions") + "/chat/completions"

    @property
    def may_carry_key(self) -> bool:
        """Whether a key can be sent there without being read on the way: encrypted, or not beyond this network."""
        parts = urlsplit(self.base_url)
        host = parts.hostname or ""
        if parts.scheme == "https" or is_loopback(host):
            return True
        try:
            return ipaddress.ip_address(host).is_private
        except ValueError:
            return "." not in host or host.endswith((".local", ".lan"))


def config_dir() -> Path:
    """The folder of this user's configuration: of the system's kind, outside the project."""
    from platformdirs import user_config_path

    return user_config_path("timbre-studio", appauthor=False)


def load_config() -> EndpointConfig | None:
    """The endpoint that was set up, or None. Raises BadInput if its file is damaged."""
    path = config_dir() / "endpoint.json"
    if not path.is_file():
        return None
    try:
        data = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as err:
        raise BadInput(f"{path} cannot be read: {err}.", "Set the endpoint up again.", where=str(path)) from err
    return parse_options(EndpointConfig, data if isinstance(data, dict) else {"file": data})


def save_config(config: EndpointConfig) -> Path:
    """Keep an endpoint. Raises NoSpace, BadInput (write-protected)."""
    path = config_dir() / "endpoint.json"
    atomic.write_json(path, config.model_dump())
    return path


def load_key() -> SecretStr | None:
    """The key of the environment, else of the file, or None. Raises BadInput if the file cannot be read."""
    from_env = os.environ.get(KEY_VARIABLE, "").strip()
    if from_env:
        return SecretStr(from_env)
    path = _key_path()
    try:
        key = path.read_text("utf-8").strip()
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as err:
        raise BadInput(
            f"{path} cannot be read.", "Check its permissions, or enter the key again.", where=str(path)
        ) from err
    return SecretStr(key) if key else None


def save_key(key: str) -> Path:
    """Keep a key, readable by this user only; an empty one removes it. Raises BadInput, NoSpace."""
    path, key = _key_path(), key.strip()
    if not key:
        path.unlink(missing_ok=True)
        return path
    if not key.isascii() or not key.isprintable() or " " in key:
        raise BadInput("That is no key: it has spaces or characters that no key has.", "Copy it again.", where="key")
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.unlink(missing_ok=True)  # an old file's permissions would be taken over
    with atomic.file(path) as temp:
        # Made with its permissions, so that there is no moment in which others could open it.
        handle = os.open(temp, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        os.write(handle, f"{key}\n".encode())
        os.close(handle)
    return path


def _key_path() -> Path:
    return config_dir() / "endpoint.key"
