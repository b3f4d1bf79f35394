"""The rotating log. It takes tracebacks, which people are never shown."""

import logging
import sys
from logging.handlers import RotatingFileHandler
from pathlib import Path

_MAX_BYTES = 5 * 1024 * 1024
_BACKUPS = 4
_FORMAT = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"
_OURS = ("core", "ui", "api", "cli", "app", "studio", "benchmarks")


class _QuietRotatingHandler(RotatingFileHandler):
    """A full disk must not end what is being logged, nor fill the terminal with logging's own tracebacks."""

    def handleError(self, record: logging.LogRecord) -> None:
        self.acquire()
        try:
            if self.stream is not None:
                self.stream.close()
        except OSError:
            pass
        finally:
            self.stream = None  # RotatingFileHandler opens it again at the next record
            self.release()


def setup(log_dir: Path, level: str = "info", name: str = "studio") -> logging.Logger:
    """Send this process's log to `log_dir/<name>.log` (5 files of 5 MiB) and warnings to stderr; safe to call again.

    Our own modules log at `level` ("debug", "info", "warning", "error"), libraries at "warning". If the
    folder cannot be written, the log goes to stderr alone and says so once.
    """
    root = logging.getLogger()
    for handler in [h for h in root.handlers if getattr(h, "_timbre", False)]:
        root.removeHandler(handler)
        handler.close()
    root.setLevel(logging.WARNING)
    for ours in _OURS:
        logging.getLogger(ours).setLevel(level.upper())

    console = logging.StreamHandler(sys.stderr)
    console.setLevel(logging.WARNING)
    # The console is for people: the message, no traceback.
    console.setFormatter(_NoTraceback("%(levelname)s: %(message)s"))
    _adopt(root, console)
    try:
        log_dir.mkdir(parents=True, exist_ok=True)
        handler = _QuietRotatingHandler(
            log_dir / f"{name}.log", maxBytes=_MAX_BYTES, backupCount=_BACKUPS, encoding="utf-8", errors="replace"
        )
    except OSError as err:
        logging.getLogger("studio").warning("No log file in %s: %s", log_dir, err.strerror or err)
    else:
        handler.setFormatter(logging.Formatter(_FORMAT))
        _adopt(root, handler)
    return logging.getLogger("studio")


class _NoTraceback(logging.Formatter):
    def formatException(self, ei: object) -> str:
        return ""

    def format(self, record: logging.LogRecord) -> str:
        # Formatter caches exc_text on the record, which would leak into (or out of) the file handler.
        kept, record.exc_text, info, record.exc_info = record.exc_text, None, record.exc_info, None
        try:
            return super().format(record)
        finally:
            record.exc_text, record.exc_info = kept, info


def _adopt(root: logging.Logger, handler: logging.Handler) -> None:
    handler._timbre = True  # type: ignore[attr-defined]  # marks it as ours for the next setup()
    root.addHandler(handler)
