"""A studio of its own for a benchmark: started as a person would, ended whatever happens."""

import contextlib
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

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


@contextlib.contextmanager
def chromium() -> Iterator[Any]:
    """Playwright's handle of a headless Chromium. Raises RuntimeError where none is installed."""
    from playwright.sync_api import sync_playwright

    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if path is None:
        raise RuntimeError("There is no Chromium here: install the system's package `chromium`.")
    with sync_playwright() as play:
        flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        browser = play.chromium.launch(executable_path=path, args=flags)
        try:
            yield browser
        finally:
            browser.close()
