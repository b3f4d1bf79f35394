"""Options that commands share, and how they become settings and parameters."""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from core.errors import BadInput, Cancelled
from core.settings import Settings, load_settings

if TYPE_CHECKING:
    from cli.output import Output
    from core.studio import Studio

SETTING_OPTIONS = ("workspace", "host", "port", "token", "device", "threads", "log_level")


class UsageError(Exception):
    """The command line itself is wrong; argparse's sentence and the usage line."""

    def __init__(self, message: str, usage: str) -> None:
        super().__init__(message)
        self.usage = usage


class Parser(argparse.ArgumentParser):
    """argparse that raises instead of ending the process, so that --json can answer in its own form."""

    def error(self, message: str) -> NoReturn:
        """Raises UsageError."""
        raise UsageError(message, self.format_usage().strip())


class Stopped(Exception):
    """A command was cancelled after it had saved something worth telling."""

    def __init__(self, result: Mapping[str, Any]) -> None:
        super().__init__("stopped")
        self.result = result


def add_command(subparsers: Any, name: str, summary: str, *, with_json: bool = True) -> argparse.ArgumentParser:
    """A subparser with the options that every command takes."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        name, help=summary, description=summary, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    common = parser.add_argument_group("common options")
    common.add_argument("--workspace", metavar="DIR", help="folder of voices, outputs and jobs (default: workspace)")
    common.add_argument("--log-level", choices=("debug", "info", "warning", "error"), help=argparse.SUPPRESS)
    if with_json:
        common.add_argument("--json", action="store_true", help="print one final JSON line; progress goes to stderr")
    return parser


def named_path(text: str) -> Path:
    """A path that was really given: "" is an unset shell variable, and would mean the current folder."""
    if not text.strip():
        raise argparse.ArgumentTypeError("is empty")
    return Path(text)


def add_device(parser: argparse.ArgumentParser) -> None:
    """--device and --threads, for commands that compute."""
    parser.add_argument("--device", metavar="NAME", help="auto, cpu, cuda or cuda:N (default: auto)")
    parser.add_argument("--threads", type=int, metavar="N", help="CPU threads; 0 chooses (default: 0)")


def add_set(parser: argparse.ArgumentParser, what: str) -> None:
    """--set NAME=VALUE for the options that have no flag of their own."""
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help=f"any other option of {what}; repeatable"
    )


def settings_of(options: argparse.Namespace, *also: str) -> Settings:
    """Settings of file, environment and these options; sets up the log.

    `also`: settings that only this command means by an option of their name (elsewhere `--language` is a recording's).
    """
    given = {name: getattr(options, name, None) for name in (*SETTING_OPTIONS, *also)}
    settings = load_settings(given)
    from core import log

    log.setup(settings.log_dir, settings.log_level)
    return settings


def open_studio(options: argparse.Namespace) -> "Studio":
    """The facade over these options' workspace. Jobs run in this process: the dispatcher is not started."""
    settings = settings_of(options)
    from core.studio import Studio

    return Studio(settings)


def known_voice(studio: "Studio", name: str) -> str:
    """`name`, if there is such a voice. Raises NotFound."""
    studio.clips(name)
    return name


def parse_set(pairs: list[str]) -> dict[str, Any]:
    """`["a=1", "b=x"]` -> `{"a": 1, "b": "x"}`: values are JSON where they parse, else text.

    Raises BadInput for an entry without `=`.
    """
    values: dict[str, Any] = {}
    for pair in pairs:
        name, sign, text = pair.partition("=")
        if not sign or not name.strip():
            raise BadInput(f"--set {pair}: that is not NAME=VALUE.", "Write for example --set seed=7.", where="--set")
        try:
            values[name.strip()] = json.loads(text)
        except ValueError:
            values[name.strip()] = text
    return values


def given(options: argparse.Namespace, *names: str) -> dict[str, Any]:
    """Those of the named options that were given; the rest keep the defaults of the part that they go to."""
    return {name: getattr(options, name) for name in names if getattr(options, name, None) is not None}


def run_job(studio: "Studio", kind: str, params: dict[str, Any], out: "Output") -> dict[str, Any]:
    """Do a job here and now, with progress. Raises what it raises; Stopped where a cancel saved something."""
    result: dict[str, Any] = studio.run_foreground(kind, params, out.progress)
    if result.get("stopped"):
        raise Stopped(result)
    return result


CANCELLED = Cancelled("Stopped as you asked; nothing half-made was left.")
