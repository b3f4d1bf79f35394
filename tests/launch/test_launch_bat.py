"""launch.bat under a real cmd (Wine's): finds a Python, passes every argument on, returns its exit code.

Needs wine and MinGW, which compiles the program that stands in for Python; skipped where they are absent.
"""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from core.paths import REPO_ROOT

HERE = Path(__file__).parent
COMPILER = "x86_64-w64-mingw32-gcc"
Start = Callable[..., tuple[int, str, list[str]]]

pytestmark = pytest.mark.skipif(
    not (shutil.which("wine") and shutil.which(COMPILER)), reason="needs wine and gcc-mingw-w64"
)


@pytest.fixture(scope="module")
def windows(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a fresh Windows whose PATH has the stand-in as py.exe and as python.exe."""
    home = tmp_path_factory.mktemp("windows")
    (home / "bin").mkdir()
    source = HERE / "windows_python.c"
    subprocess.run([COMPILER, "-municode", "-o", str(home / "bin/py.exe"), str(source)], check=True)
    shutil.copy(home / "bin/py.exe", home / "bin/python.exe")
    environ = {**os.environ, "WINEPREFIX": str(home / "prefix"), "WINEDEBUG": "-all", "LC_ALL": "C.UTF-8"}
    environ["WINEPATH"] = f"Z:{home}/bin".replace("/", "\\")
    made = subprocess.run(["wine", "wineboot", "-i"], env=environ, capture_output=True, timeout=240, check=False)
    if made.returncode not in (0, 49):  # 49: the 32-bit half is not installed, and not needed
        pytest.skip("wine does not start here")
    return environ


@pytest.fixture
def start(windows: dict[str, str], tmp_path: Path) -> Start:
    """Run launch.bat in a folder with a space and Chinese characters: (exit code, output, what Python was given)."""
    folder = tmp_path / "工作 室"
    folder.mkdir()
    shutil.copy(REPO_ROOT / "launch.bat", folder)

    def run(*arguments: str, **more: str) -> tuple[int, str, list[str]]:
        notes = tmp_path / "notes.txt"
        environ = {**windows, "STAND_IN_NOTES": f"Z:{notes}".replace("/", "\\"), **more}
        done = subprocess.run(
            ["wine", "cmd", "/c", "launch.bat", *arguments],
            cwd=folder, env=environ, stdin=subprocess.DEVNULL, capture_output=True, timeout=120, check=False,
        )  # fmt: skip
        heard = notes.read_text("utf-8").splitlines() if notes.exists() else []
        return done.returncode, done.stdout.decode("utf-8", "replace"), heard

    return run


def test_arguments_arrive_whole_and_the_exit_code_comes_back(start: Start, tmp_path: Path) -> None:
    code, _, heard = start("convert", "my song 歌.wav", "--json")
    bootstrap = f"Z:{tmp_path}/工作 室/cli/bootstrap.py".replace("/", "\\")
    assert heard == ["py", "-3.13", "-X", "utf8", bootstrap, "convert", "my song 歌.wav", "--json"]
    assert code == 7


def test_a_python_that_was_named_comes_first(start: Start) -> None:
    _, _, heard = start("doctor", TIMBRE_LAUNCH_PYTHON="python")
    assert heard[0].strip('"') == "python"
    assert heard[-1] == "doctor"


def test_without_a_new_enough_python_it_says_what_to_install(start: Start) -> None:
    code, output, heard = start("doctor", STAND_IN_TOO_OLD="1")
    assert (code, heard) == (1, [])
    assert "Python 3.11 or newer" in output
    assert "python.org" in output
