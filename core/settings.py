"""Settings: default < `settings.toml` < environment `TIMBRE_*` < command line. A typo is an error, never ignored."""

import difflib
import ipaddress
import os
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, ValidationError, field_validator, model_validator

from core.errors import BadInput
from core.paths import REPO_ROOT

ENV_PREFIX = "TIMBRE_"
LAUNCH_PREFIX = "TIMBRE_LAUNCH_"
"""Variables of the launch scripts (which Python, which index); they are no settings and are left alone."""
SETTINGS_FILE = "settings.toml"
DEFAULT_WORKSPACE = REPO_ROOT / "workspace"


@dataclass(frozen=True)
class SettingLine:
    """One setting as the doctor lists it: its value in words and where that came from."""

    name: str
    value: str
    source: str


def is_loopback(host: str) -> bool:
    """True if `host` reaches this machine only. The empty string means every interface, so it does not."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


class Settings(BaseModel):
    """Everything that a person can set. Frozen; folders are absolute. See `load_settings` for the order of sources."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    workspace: Path = Field(DEFAULT_WORKSPACE, description="folder of voices, outputs and the job database")
    runs_dir: Path | None = Field(None, description="folder of training runs; default: logs")
    pretrain_dir: Path = Field(REPO_ROOT / "pretrain", description="folder of pretrained weights")
    host: str = Field("127.0.0.1", description="address to listen on; others than loopback need a token")
    port: int = Field(7860, ge=0, le=65535, description="port to listen on; 0 takes any free one")
    token: str | None = Field(None, description="secret that other machines must show")
    language: Literal["auto", "en", "zh"] = Field("auto", description="language of the page")
    device: str = Field("auto", pattern=r"^(auto|cpu|cuda(:\d{1,2})?)$", description="auto, cpu, cuda or cuda:N")
    threads: int = Field(0, ge=0, le=1024, description="CPU threads of a job; 0 chooses")
    max_upload_mb: int = Field(4096, ge=1, description="largest file taken, MiB")
    max_upload_files: int = Field(2000, ge=1, description="most files taken at once")
    max_decode_hours: float = Field(24.0, gt=0, allow_inf_nan=False, description="longest recording taken, hours")
    speech_model: str = Field(
        "", description="folder of the speech model the HTTP service takes first; ENGINE:FOLDER if not VoxCPM"
    )
    max_speech: int = Field(4, ge=1, le=256, description="texts spoken at once over HTTP; others wait")
    max_speech_queue: int = Field(64, ge=0, le=10000, description="texts that may wait over HTTP; more get 429")
    max_speech_per_client: int = Field(64, ge=1, le=10000, description="texts of one client, spoken and waiting")
    speech_deadline_s: float = Field(300.0, gt=0, le=86400, description="longest that one text may take over HTTP, s")
    drain_s: float = Field(
        30.0, ge=0, le=3600, description="longest that a server asked to end goes on with what it has begun, s"
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="how much the log holds")

    _sources: dict[str, str] = PrivateAttr(default_factory=dict)

    @field_validator("workspace", "runs_dir", "pretrain_dir")
    @classmethod
    def _absolute(cls, value: Path | None) -> Path | None:
        return None if value is None else Path(os.path.abspath(value.expanduser()))

    @field_validator("token")
    @classmethod
    def _no_blank_token(cls, value: str | None) -> str | None:
        return value.strip() or None if value is not None else None

    @model_validator(mode="after")
    def _guard_host(self) -> Self:
        if not is_loopback(self.host) and self.token is None:
            # Not a ValueError, so that pydantic hands it on as it is.
            raise BadInput(
                f"Listening on {self.host or 'every address'} would open the studio to others without a password.",
                "Set a token (--token or TIMBRE_TOKEN), or keep the host at 127.0.0.1.",
                where="host",
            )
        return self

    @property
    def runs(self) -> Path:
        """Folder of training runs: `runs_dir`, else `logs` beside app.py, or in a workspace of one's own."""
        if self.runs_dir is not None:
            return self.runs_dir
        return (REPO_ROOT if self.workspace == DEFAULT_WORKSPACE else self.workspace) / "logs"

    @property
    def voices_dir(self) -> Path:
        """One folder per voice."""
        return self.workspace / "voices"

    @property
    def outputs(self) -> Path:
        """Converted and spoken audio."""
        return self.workspace / "outputs"

    @property
    def database(self) -> Path:
        """The job database (SQLite)."""
        return self.workspace / "studio.sqlite3"

    @property
    def cache_dir(self) -> Path:
        """Features and other things that can be made again."""
        return self.workspace / "cache"

    @property
    def log_dir(self) -> Path:
        """The studio's log and one log per job."""
        return self.workspace / "studio_logs"

    def describe(self) -> list[SettingLine]:
        """Every setting, its value and its source; the token's value is hidden."""
        lines = []
        for name in type(self).model_fields:
            value = getattr(self, name)
            shown = "set (hidden)" if name == "token" and value else "not set" if value is None else str(value)
            lines.append(SettingLine(name, shown, self._sources.get(name, "default")))
        return lines

    def for_worker(self) -> str:
        """The settings as JSON for a worker's command line: without what only the server needs, so without secrets."""
        return self.model_dump_json(exclude={"token", "host", "port"})


def load_settings(
    cli: Mapping[str, object] | None = None,
    env: Mapping[str, str] | None = None,
    file: str | os.PathLike[str] | None = None,
) -> Settings:
    """Read the settings of all sources; later ones win: default, file, environment, command line.

    `cli` values that are None count as not given. `file` (TOML) must exist if named; otherwise
    `settings.toml` in the workspace is read when it is there.

    Raises BadInput that names every unknown key with its nearest valid name, every value that cannot be
    used, or a host other than loopback without a token.
    """
    from_env, unknown = _environment(os.environ if env is None else env)
    from_cli = {key: value for key, value in (cli or {}).items() if value is not None}
    unknown += [(key, "command line") for key in from_cli if key not in Settings.model_fields]
    path = _settings_file(file, from_env, from_cli)
    from_file = _read_toml(path) if path is not None else {}
    if path is not None and file is None and "workspace" in from_file:
        raise BadInput(
            f"{path} sets 'workspace', but it is read from the workspace itself.",
            "Remove that line; name the workspace by --workspace or TIMBRE_WORKSPACE.",
            where=str(path),
        )
    unknown += [(key, str(path)) for key in from_file if key not in Settings.model_fields]
    if unknown:
        raise _unknown_keys(unknown)

    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for layer, source in ((from_file, str(path)), (from_env, "environment"), (from_cli, "command line")):
        for key, value in layer.items():
            values[key] = value
            sources[key] = f"{ENV_PREFIX}{key.upper()}" if source == "environment" else source
    try:
        settings = Settings(**values)
    except ValidationError as err:
        raise _bad_values(err, sources) from err
    settings._sources.update(sources)
    return settings


def _environment(env: Mapping[str, str]) -> tuple[dict[str, str], list[tuple[str, str]]]:
    known: dict[str, str] = {}
    unknown: list[tuple[str, str]] = []
    for name, value in env.items():
        # Windows hands environment names over in capitals; elsewhere they are exact.
        if not name.startswith(ENV_PREFIX) or name.startswith(LAUNCH_PREFIX):
            continue
        key = name[len(ENV_PREFIX) :].lower()
        if key not in Settings.model_fields:
            unknown.append((name, "environment"))
        elif value != "":  # `TIMBRE_TOKEN=` is how a shell script says "none"
            known[key] = value
    return known, unknown


def _settings_file(
    file: str | os.PathLike[str] | None, from_env: Mapping[str, object], from_cli: Mapping[str, object]
) -> Path | None:
    if file is not None:
        if not Path(file).is_file():
            raise BadInput(f"The settings file {file} is not there.", "Check its path.", where=str(file))
        return Path(file)
    workspace = from_cli.get("workspace") or from_env.get("workspace") or DEFAULT_WORKSPACE
    path = Path(str(workspace)).expanduser() / SETTINGS_FILE
    return path if path.is_file() else None


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as err:
        hint = "Correct that line, or remove the file."
        raise BadInput(f"{path} is not valid TOML: {err}.", hint, where=str(path)) from err
    except OSError as err:
        raise BadInput(f"{path} cannot be read: {err.strerror}.", "Check its permissions.", where=str(path)) from err


def _unknown_keys(unknown: Iterable[tuple[str, str]]) -> BadInput:
    parts, hints = [], []
    for name, source in unknown:
        parts.append(f"{name} ({source})")
        is_variable = source == "environment"
        key = name[len(ENV_PREFIX) :].lower() if is_variable else name
        for near in difflib.get_close_matches(key.lower(), Settings.model_fields, n=1, cutoff=0.5):
            hints.append(f"{name} -> {ENV_PREFIX}{near.upper()}" if is_variable else f"{name} -> {near}")
    meant = f"Perhaps you meant: {', '.join(hints)}. " if hints else ""
    return BadInput(
        f"Unknown settings: {', '.join(parts)}.",
        f"{meant}The settings are: {', '.join(Settings.model_fields)}.",
        where="settings",
    )


def _bad_values(err: ValidationError, sources: Mapping[str, str]) -> BadInput:
    parts = []
    for problem in err.errors(include_url=False):
        name = ".".join(str(step) for step in problem["loc"])
        given = "" if name == "token" else f" = {problem['input']!r}"
        parts.append(f"{name}{given} ({sources.get(name, 'default')}): {problem['msg']}")
    message = f"Settings that cannot be used: {'; '.join(parts)}."
    return BadInput(message, "Correct them and start again.", where="settings")
