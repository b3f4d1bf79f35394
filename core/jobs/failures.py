"""Any exception or exit code as one clean sentence and a next step; the traceback stays in the log."""

import re
import signal
from pathlib import Path

from core.errors import BadInput, NoSpace, StudioError, Unavailable, is_no_space, no_space

_LINES = 4
_TAIL_BYTES = 8192
# Lines of a traceback or of faulthandler's dump are for the log, not for people.
_TRACE = re.compile(
    r'^(\s|Traceback \(|File "|Fatal Python error|Current thread|Thread 0x|Extension modules|Stack \(|<no Python)'
)


class JobBug(StudioError):
    """An error in the studio itself, as opposed to one that the user can mend."""

    code = "bug"


class JobCrashed(StudioError):
    """The worker process ended without a result."""

    code = "crashed"


def describe(err: BaseException, log_path: Path | None, path: Path | None = None) -> StudioError:
    """The StudioError to show for any exception of a handler. `path`: where it wrote, for a full disk."""
    if isinstance(err, StudioError):
        return err
    where = str(log_path) if log_path else ""
    if is_no_space(err):
        return no_space(err, None, getattr(err, "filename", None) or path or Path.cwd())
    # Torch's class, by name: this module must not import torch to look at an exception.
    if type(err).__name__ == "OutOfMemoryError" or (
        isinstance(err, RuntimeError) and "out of memory" in str(err).lower()
    ):
        return Unavailable(
            "The GPU ran out of memory.",
            "Close other programs that use it, choose a smaller batch or preset, or set the device to cpu.",
            where=where,
        )
    if isinstance(err, RuntimeError) and "CUDA" in str(err):
        return Unavailable(
            "The GPU stopped answering, or the driver does not fit it.",
            "Try again; if it happens again, restart the machine, update the NVIDIA driver, or set the device to cpu.",
            where=where,
        )
    if isinstance(err, MemoryError):
        return Unavailable(
            "The computer ran out of memory.", "Close other programs, or choose a smaller batch or preset.", where=where
        )
    if isinstance(err, ModuleNotFoundError) and err.name and not err.name.startswith(("core", "tests")):
        return Unavailable(
            f"The Python package {err.name!r} is missing or incomplete.",
            "Run the launcher again so that it repairs the installation; 'doctor' shows what is there.",
            where=where,
        )
    if isinstance(err, PermissionError) and err.filename:
        return BadInput(
            f"{err.filename} is protected.", "Change its permissions and try again.", where=str(err.filename)
        )
    see = f"The details are in {log_path}; please report them." if log_path else "Please report it."
    return JobBug(f"The job stopped because of an error in the studio ({type(err).__name__}).", see, where=where)


def crashed(exit_code: int | None, log_path: Path | None) -> StudioError:
    """The error of a worker that ended without a result. `exit_code` None: not known (it was not our child)."""
    hint = "Try again; if it happens again, look at the log"
    if exit_code == -9:
        hint = (
            "Most often the system does that when memory runs out: close other programs or choose a smaller "
            "batch or preset, then try again"
        )
    elif exit_code == 0:
        hint = "Its work may be there all the same; perhaps the disk was full. Look at the log"
    last = last_lines(log_path)
    said = f" Its last words: {last}" if last else ""
    what = f"The worker process {ended_how(exit_code)}.{said}"
    return JobCrashed(what, f"{hint} ({log_path}).", where=str(log_path or ""))


def ended_how(exit_code: int | None) -> str:
    """The end of a process that gave no result, in words that follow its name."""
    if exit_code is None:
        return "ended without a result"
    if exit_code < 0:
        name = _signal_name(-exit_code)
        inside = name in ("SIGSEGV", "SIGBUS", "SIGILL", "SIGFPE", "SIGABRT")
        return f"was ended by {name}" + (" (a crash inside a library)" if inside else "")
    if exit_code > 0x7FFFFFFF:
        return f"crashed with status 0x{exit_code:08X}"  # of Windows
    if exit_code == 0:
        return "ended without a result (exit code 0)"
    return f"ended with exit code {exit_code}"


def last_lines(log_path: Path | None) -> str:
    """The last few lines of a log that a person can read, joined by ` | `, at most 300 characters."""
    if log_path is None:
        return ""
    try:
        with open(log_path, "rb") as handle:
            handle.seek(0, 2)
            handle.seek(max(0, handle.tell() - _TAIL_BYTES))
            text = handle.read().decode("utf-8", "replace")
    except OSError:
        return ""
    lines = [line.strip() for line in text.splitlines() if line.strip() and not _TRACE.match(line)]
    return " | ".join(lines[-_LINES:])[-300:]


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def disk_full_result(log_path: Path | None) -> NoSpace:
    """The error of a job whose result could not be stored."""
    return NoSpace(
        "The job ended, but there was no room on the disk to note its result.",
        "Free some space; what it made is where it would be, and trying again takes up from there.",
        where=str(log_path or ""),
    )
