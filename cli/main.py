"""The command line: which command, what comes out, which exit code.

0 it worked, 1 it did not (a StudioError, or a surprise whose traceback is in the log), 2 the command line is wrong,
130 the person stopped it.
"""

import argparse
import importlib
import logging
import os
import sys
from types import ModuleType

from cli.common import CANCELLED, Parser, Stopped, UsageError
from cli.output import Output
from core import __version__
from core.errors import Cancelled, StudioError

COMMANDS = (
    *("serve", "transcribe", "clean-subs", "prep", "slice", "clean", "qa", "train", "convert", "song", "say"),
    *("realtime", "export-onnx", "sovits-data", "voices", "models", "jobs", "doctor", "demo"),
)


def module_of(command: str) -> ModuleType:
    """The module behind a command."""
    return importlib.import_module(f"cli.{command.replace('-', '_')}")


def build_parser() -> Parser:
    """The whole command line. Command modules are light: they import what they need when they run."""
    parser = Parser(prog="app.py", description="Timbre Studio: recordings in, a voice out. Without a command: serve.")
    parser.add_argument("--version", action="version", version=f"Timbre Studio {__version__}")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True, parser_class=Parser)
    for name in COMMANDS:
        module_of(name).add(subparsers)
    return parser


def with_default(arguments: list[str]) -> list[str]:
    """No command means serve: `app.py`, `app.py --no-browser`."""
    if not arguments or (arguments[0].startswith("-") and arguments[0] not in ("-h", "--help", "--version")):
        return ["serve", *arguments]
    return arguments


def main(arguments: list[str] | None = None) -> int:
    """Run one command line (without the program's name). Returns the exit code."""
    words = with_default(list(sys.argv[1:] if arguments is None else arguments))
    wants_json = "--json" in words
    try:
        options = build_parser().parse_args(words)
    except UsageError as err:
        return usage(err, Output(json_mode=wants_json))
    out = Output(json_mode=bool(getattr(options, "json", False)))
    return run(options, out)


def usage(err: UsageError, out: Output) -> int:
    """Say what is wrong with the command line. Returns the exit code."""
    hint = f"{err.usage}\n`app.py --help` lists the commands."
    out.fail(StudioError(f"{err}.", hint, where="command line"))
    return 2


def run(options: argparse.Namespace, out: Output) -> int:
    """Run a parsed command. Returns the exit code."""
    try:
        out.finish(module_of(options.command).run(options, out))
    except UsageError as err:
        return usage(err, out)
    except Stopped as err:
        out.fail(Cancelled("Stopped as you asked; what was done so far is saved."), err.result)
        return 130
    except (KeyboardInterrupt, Cancelled):
        out.fail(CANCELLED)
        return 130
    except StudioError as err:
        logging.getLogger("cli").info("%s failed", options.command, exc_info=err)
        out.fail(err)
        return 1
    except BrokenPipeError:
        # The reader left (`| head`). Python would complain once more while flushing at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 1
    except Exception as err:  # the process boundary: people get a sentence, the log gets the traceback
        # At level info, so that it goes to the log file and not to the terminal as well.
        logging.getLogger("cli").info("%s failed", options.command, exc_info=err)
        detail = f"{type(err).__name__}: {err}".split("\n")[0][:300]
        hint = "This is a fault of the studio. The traceback is in studio_logs/studio.log of the workspace."
        out.fail(StudioError(f"{options.command} stopped unexpectedly: {detail}", hint))
        return 1
    return 0
