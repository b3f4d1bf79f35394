"""`python -m benchmarks NAME [options] [--json] [--write FILE]`: every published figure comes from here.

NAME is a module of this package with `run(args: list[str]) -> dict` and, if it wants its own page,
`markdown(figures) -> str`; `python -m benchmarks NAME --help` lists its options. A figure never comes without
where, when and of which commit.
"""

import argparse
import importlib
import json
import os
import pkgutil
import platform
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import benchmarks

ROOT = Path(__file__).resolve().parent.parent


def names() -> list[str]:
    """The benchmarks there are."""
    return sorted(m.name for m in pkgutil.iter_modules(benchmarks.__path__) if not m.name.startswith("_"))


def about(arguments: list[str]) -> dict[str, str]:
    """Machine, load, commit, command and date of a measurement."""
    import torch

    git = subprocess.run(
        ["git", "-C", str(ROOT), "describe", "--always", "--dirty"], capture_output=True, text=True, check=False
    )
    load = f", load {os.getloadavg()[0]:.1f} at the end" if hasattr(os, "getloadavg") else ""
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    return {
        "machine": f"{_cpu_name()}, {os.cpu_count()} cores{load}; {gpu}",
        "software": f"Python {platform.python_version()}, torch {torch.__version__}",
        "commit": git.stdout.strip() or "unknown",
        "command": shlex.join(["python", "-m", "benchmarks", *arguments]),
        "date": time.strftime("%Y-%m-%d %H:%M %Z"),
    }


def _cpu_name() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text("utf-8", "replace").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def page(name: str, where: dict[str, str], figures: dict[str, Any], body: str | None) -> str:
    """A Markdown page of a measurement; `body` replaces the plain listing of the figures."""
    head = [f"# {name}", "", *(f"- {key}: `{value}`" for key, value in where.items()), ""]
    listing = body if body is not None else "```json\n" + json.dumps(figures, indent=1, ensure_ascii=False) + "\n```\n"
    return "\n".join(head) + "\n" + listing


def main(arguments: list[str]) -> int:
    """Run one benchmark and say what it found."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__, add_help=False)
    parser.add_argument("name", choices=names())
    parser.add_argument("--json", action="store_true", help="one JSON line instead of a page")
    parser.add_argument("--write", type=Path, help="also write the page to this file")
    if not arguments or arguments[0] in ("-h", "--help"):
        parser.print_help()
        return 0
    options, rest = parser.parse_known_args(arguments)
    module = importlib.import_module(f"benchmarks.{options.name}")
    figures = module.run(rest)
    where = about(arguments)
    if options.json and not options.write:
        print(json.dumps({"about": where, "figures": figures}, ensure_ascii=False))
        return int(bool(figures.get("failed")))
    text = page(options.name, where, figures, module.markdown(figures) if hasattr(module, "markdown") else None)
    if options.write:
        options.write.parent.mkdir(parents=True, exist_ok=True)
        options.write.write_text(text, encoding="utf-8")
    print(json.dumps({"about": where, "figures": figures}, ensure_ascii=False) if options.json else text)
    return int(bool(figures.get("failed")))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
