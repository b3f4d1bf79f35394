"""What the commands say: results on stdout, progress and trouble on stderr, or one JSON line for programs."""

import json
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

from core.errors import StudioError

_BAR_STEPS = 24
_PLAIN_EVERY_S = 5.0


def _jsonable(value: object) -> object:
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "item"):  # a numpy number
        return value.item()
    raise TypeError(f"{type(value).__name__} is not JSON")


def duration(seconds: float) -> str:
    """`75` -> `1:15`, `4000` -> `1:06:40`."""
    whole = max(0, round(seconds))
    hours, rest = divmod(whole, 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}" if hours else f"{rest // 60}:{rest % 60:02}"


class Output:
    """One command's voice. In JSON mode stdout carries exactly one line, whatever libraries print meanwhile."""

    def __init__(self, *, json_mode: bool) -> None:
        self.json_mode = json_mode
        self._stdout: TextIO = sys.stdout
        self._drawn = 0
        self._last = ("", 0.0)
        self._started = time.monotonic()
        if json_mode:
            self._keep_stdout_clean()

    def _keep_stdout_clean(self) -> None:
        """Point the process's stdout at stderr and keep the real one for the final line."""
        try:
            kept = os.dup(1)
            os.dup2(2, 1)
        except OSError:  # no real file descriptors: embedded, or closed by the caller
            return
        self._stdout = os.fdopen(kept, "w", encoding="utf-8")

    def line(self, text: str = "") -> None:
        """A line of the result, for people; nothing in JSON mode."""
        self._clear()
        if not self.json_mode:
            print(text, flush=True)

    def note(self, text: str) -> None:
        """A remark beside the result, on stderr."""
        self._clear()
        print(text, file=sys.stderr, flush=True)

    def progress(self, fraction: float, message: str = "") -> None:
        """Progress 0..1 on stderr: a bar that redraws in a terminal, a line now and then elsewhere."""
        done = min(1.0, max(0.0, fraction))
        if sys.stderr.isatty():
            filled = round(done * _BAR_STEPS)
            text = f"[{'#' * filled}{'.' * (_BAR_STEPS - filled)}] {done:4.0%} {message}"[:110]
            print("\r" + text.ljust(self._drawn), end="", file=sys.stderr, flush=True)
            self._drawn = len(text)
            return
        now = time.monotonic()
        head = message.split(" ")[0]
        if head != self._last[0] or now - self._last[1] >= _PLAIN_EVERY_S or done == 1.0:
            self._last = (head, now)
            print(f"{duration(now - self._started)} {done:4.0%} {message}", file=sys.stderr, flush=True)

    def _clear(self) -> None:
        if self._drawn:
            print("\r" + " " * self._drawn + "\r", end="", file=sys.stderr, flush=True)
            self._drawn = 0

    def finish(self, result: Mapping[str, Any]) -> None:
        """The end of a command that worked."""
        self._clear()
        if self.json_mode:
            self._emit({"ok": True, **result})

    def fail(self, error: StudioError, result: Mapping[str, Any] | None = None) -> None:
        """The end of one that did not; `result` is what was made all the same."""
        self._clear()
        if self.json_mode:
            self._emit({"ok": False, "error": error.to_dict(), **({"result": dict(result)} if result else {})})
            return
        print(error.message, file=sys.stderr)
        if error.hint:
            print(error.hint, file=sys.stderr)
        sys.stderr.flush()

    def _emit(self, data: Mapping[str, Any]) -> None:
        try:
            print(json.dumps(data, ensure_ascii=False, default=_jsonable), file=self._stdout, flush=True)
        except UnicodeEncodeError:  # a terminal or pipe that is not UTF-8
            print(json.dumps(data, default=_jsonable), file=self._stdout, flush=True)


def table(rows: list[list[str]], heads: list[str]) -> list[str]:
    """Aligned columns; a row is one line. Chinese characters count two columns."""
    import unicodedata

    def width(text: str) -> int:
        return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)

    widths = [max(width(row[column]) for row in [heads, *rows]) for column in range(len(heads))]
    return [
        "  ".join(cell + " " * (widths[column] - width(cell)) for column, cell in enumerate(row)).rstrip()
        for row in [heads, *rows]
    ]
