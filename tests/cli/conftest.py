"""What the tests of small commands share."""

from pathlib import Path

import pytest

from cli.main import main


class Command:
    """Runs commands in one workspace."""

    def __init__(self, workspace: Path, capfd: pytest.CaptureFixture[str]) -> None:
        self._place = ["--workspace", str(workspace)]
        self._capfd = capfd

    def __call__(self, *words: str, code: int = 0) -> tuple[str, str]:
        """(stdout, stderr)."""
        self._capfd.readouterr()
        assert main([*words, *self._place]) == code
        said = self._capfd.readouterr()
        return said.out, said.err


@pytest.fixture
def command(workspace: Path, capfd: pytest.CaptureFixture[str]) -> Command:
    """`command(*words, code=0) -> (stdout, stderr)`."""
    return Command(workspace, capfd)
