"""`doctor`: is this machine ready, and what to do where it is not."""

import argparse
from typing import TYPE_CHECKING, Any

from cli.common import add_command, open_studio
from core.checks import Check, worst
from core.errors import StudioError

if TYPE_CHECKING:
    from cli.output import Output

MARKS = {"ok": "ok  ", "warn": "warn", "fail": "FAIL"}


def add(subparsers: Any) -> None:
    """Add the command."""
    add_command(subparsers, "doctor", "Check packages, weights, disk, device and settings; say what to do.")


def show(checks: list[Check], out: "Output") -> None:
    """One line a check, its fix below where there is one."""
    for check in checks:
        out.line(f"{MARKS[check.verdict]}  {check.name}: {check.detail}")
        if check.fix:
            out.line(f"      -> {check.fix}")


def run(options: argparse.Namespace, out: "Output") -> dict[str, Any]:
    """Check everything. Raises StudioError naming the checks that failed."""
    checks = open_studio(options).doctor()
    show(checks, out)
    if worst(checks) == "fail":
        failed = [check for check in checks if check.verdict == "fail"]
        raise StudioError(
            "Not ready: " + "; ".join(f"{check.name}: {check.detail}" for check in failed),
            " ".join(check.fix for check in failed if check.fix),
            where="doctor",
        )
    return {"checks": [check.to_dict() for check in checks], "verdict": worst(checks)}
