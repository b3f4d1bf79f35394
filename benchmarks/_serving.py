"""A studio of its own for a benchmark: started as a person would, ended whatever happens."""

import contextlib
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def address_of(process: "subprocess.Popen[str]") -> str:
    """Where a studio that was just started says it is, without a slash at the end. Raises RuntimeError."""
    assert process.stdout
    found = re.search(r"http://\S+", process.stdout.readline())
    if not found:
        raise RuntimeError("app.py serve did not start")
    return found.group(0).rstrip("/")


@contextlib.contextmanager
def serving(*words: str) -> Iterator[tuple[str, int]]:
    """`app.py serve WORDS` on a free port: (address without a slash at the end, process id)."""
    command = [sys.executable, str(ROOT / "app.py"), "serve", "--no-browser", "--port", "0", *words]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        yield address_of(process), process.pid
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
