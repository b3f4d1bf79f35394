"""The log: tracebacks go to the file only; a full disk or a protected folder does not end the program."""

import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from core import log
from core.paths import REPO_ROOT


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    root = logging.getLogger()
    level = root.level
    yield
    for handler in [h for h in root.handlers if getattr(h, "_timbre", False)]:
        root.removeHandler(handler)
        handler.close()
    root.setLevel(level)
    for name in log._OURS:
        logging.getLogger(name).setLevel(logging.NOTSET)


def fail(name: str) -> None:
    try:
        raise ValueError("the cause")
    except ValueError:
        logging.getLogger(name).exception("it went wrong ü")


def test_the_file_has_the_traceback_and_the_terminal_has_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log.setup(tmp_path / "logs", "info")
    fail("core.jobs.queue")
    text = (tmp_path / "logs" / "studio.log").read_text(encoding="utf-8")
    assert "Traceback" in text
    assert "it went wrong ü" in text
    told = capsys.readouterr().err
    assert "it went wrong" in told
    assert "Traceback" not in told
    assert "the cause" not in told


def test_levels_and_calling_it_twice(tmp_path: Path) -> None:
    log.setup(tmp_path, "info")
    log.setup(tmp_path, "debug", name="other")
    logging.getLogger("core.x").debug("ours")
    logging.getLogger("somelib").info("theirs")
    assert (tmp_path / "other.log").read_text(encoding="utf-8").count("ours") == 1
    assert "theirs" not in (tmp_path / "other.log").read_text(encoding="utf-8")
    assert sum(getattr(handler, "_timbre", False) for handler in logging.getLogger().handlers) == 2


def test_a_folder_that_cannot_be_made_leaves_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    log.setup(tmp_path / "file" / "logs").warning("still here")
    told = capsys.readouterr().err
    assert "No log file" in told
    assert "still here" in told


def test_it_rotates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "_MAX_BYTES", 2000)
    logger = log.setup(tmp_path)
    for number in range(200):
        logger.info("line %d %s", number, "x" * 50)
    files = sorted(path.name for path in tmp_path.iterdir())
    assert files == ["studio.log", *(f"studio.log.{n}" for n in range(1, log._BACKUPS + 1))]
    assert all(path.stat().st_size <= 2000 for path in tmp_path.iterdir())


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX limits")
def test_a_full_disk_is_survived_in_silence_and_logging_goes_on_after(tmp_path: Path) -> None:
    code = """
import resource, sys
from pathlib import Path
from core import log
logger = log.setup(Path(sys.argv[1]))
_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
for _ in range(50):
    logger.info("x" * 100)
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
logger.info("room again")
"""
    child = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], cwd=REPO_ROOT, capture_output=True, text=True, timeout=60
    )
    assert (child.returncode, child.stderr) == (0, "")
    assert "room again" in (tmp_path / "studio.log").read_text(encoding="utf-8")
