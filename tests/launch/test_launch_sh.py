"""launch.sh for real: a copy of it with a tiny app and tiny wheels, in a folder with a space and Chinese characters.

The wheels are made here and served from a folder, so every case runs without a network and in seconds.
"""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

REPO_ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.skipif(os.name == "nt", reason="launch.sh is for Linux and macOS")

APP = """\
import json, sys, tinything
if sys.argv[1:2] == ["fail"]:
    sys.exit(7)
print(json.dumps({"args": sys.argv[1:], "version": tinything.VERSION, "prefix": sys.prefix}))
"""


def make_wheel(folder: Path, name: str, version: str, files: dict[str, str], requires: str = "") -> Path:
    """A wheel as small as they come: `files` and the three metadata files that pip asks for."""
    folder.mkdir(parents=True, exist_ok=True)
    info = f"{name}-{version}.dist-info"
    path = folder / f"{name}-{version}-py3-none-any.whl"
    content = {
        **files,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{requires}",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{inner},,\n" for inner in [*content, f"{info}/RECORD"])
    with zipfile.ZipFile(path, "w") as archive:
        for inner, text in {**content, f"{info}/RECORD": record}.items():
            archive.writestr(inner, text)
    return path


class Copy:
    """A small repository with the real launch files, and its shelf of wheels."""

    def __init__(self, base: Path) -> None:
        self.root = base / "我的 声音 studio"
        self.shelf = base / "wheel shelf"
        (self.root / "cli").mkdir(parents=True)
        for name in ("launch.sh", "cli/bootstrap.py"):
            shutil.copy2(REPO_ROOT / name, self.root / name)
        (self.root / "app.py").write_text(APP, "utf-8")
        self.wheel("1.0")
        runner = "import json, os, sys\nprint(json.dumps({'pytest': sys.argv[1:], 'cwd': os.getcwd()}))\n"
        make_wheel(self.shelf, "pytest", "0.1", {"pytest/__init__.py": "", "pytest/__main__.py": runner})
        self.require("tinything==1.0")

    def wheel(self, version: str, folder: Path | None = None) -> None:
        make_wheel(folder or self.shelf, "tinything", version, {"tinything.py": f"VERSION = {version!r}\n"})

    def require(self, line: str, *, head: str = "", optional: str = "") -> None:
        start = f'{head}\n--no-index\n--find-links "{self.shelf.as_uri()}"\n'
        (self.root / "requirements.txt").write_text(f"{start}{line}\n", "utf-8")
        (self.root / "requirements-test.txt").write_text("-r requirements.txt\npytest==0.1\n", "utf-8")
        (self.root / "requirements-optional.txt").write_text(f"# perhaps\n{optional}\n", "utf-8")
        (self.root / "constraints.txt").write_text("pytest==0.1\n", "utf-8")

    def start(self, *arguments: str, cwd: Path | None = None, **environ: str) -> subprocess.CompletedProcess[str]:
        env = {key: value for key, value in os.environ.items() if not key.startswith(("TIMBRE_", "PIP_"))}
        env |= {"PIP_CONFIG_FILE": os.devnull, "TIMBRE_LAUNCH_PYTHON": sys.executable} | environ
        command = [str(self.root / "launch.sh"), *arguments]
        return subprocess.run(
            command, cwd=cwd or "/", env=env, capture_output=True, text=True, timeout=240, check=False
        )

    @property
    def stamp(self) -> Path:
        return self.root / ".venv" / "timbre-stamp.json"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Copy, subprocess.CompletedProcess[str]]:
    """A copy after its first start, and what that start said. Shared: tests that change it put it back."""
    copy = Copy(tmp_path_factory.mktemp("launch"))
    return copy, copy.start("say", "two words", "你好")


@pytest.fixture
def copy(installed: tuple[Copy, subprocess.CompletedProcess[str]]) -> Copy:
    assert installed[1].returncode == 0, installed[1].stderr
    return installed[0]


def test_first_start_installs_and_passes_on(installed: tuple[Copy, subprocess.CompletedProcess[str]]) -> None:
    copy, first = installed
    assert first.returncode == 0, first.stderr
    said = json.loads(first.stdout)  # stdout is the command's alone, so that --json can be piped
    assert said["args"] == ["say", "two words", "你好"]
    assert Path(said["prefix"]) == copy.root / ".venv"
    assert "Installing" in first.stderr


def test_second_start_installs_nothing_and_needs_no_network(copy: Copy, tmp_path: Path) -> None:
    before = copy.stamp.stat().st_mtime_ns
    shelf = copy.shelf.rename(tmp_path / "away")
    try:
        second = copy.start(cwd=tmp_path)
    finally:
        shelf.rename(copy.shelf)
    assert second.returncode == 0
    assert second.stderr == ""
    assert json.loads(second.stdout)["args"] == []
    assert copy.stamp.stat().st_mtime_ns == before


def test_exit_code_is_the_commands(copy: Copy) -> None:
    assert copy.start("fail").returncode == 7


def test_test_command_adds_the_extras_once(copy: Copy) -> None:
    first = copy.start("test", "-k", "some thing")
    assert first.returncode == 0, first.stderr
    assert json.loads(first.stdout)["pytest"] == ["-k", "some thing"]
    second = copy.start("test")
    assert second.stderr == ""
    said = json.loads(second.stdout)
    assert said == {"pytest": [], "cwd": str(copy.root)}, "from wherever it is called, it is this repository's suite"
    assert copy.start("say").stderr == "", "the test extras must not make a plain start install again"


def test_changed_requirements_are_installed(copy: Copy) -> None:
    copy.wheel("2.0")
    copy.require("tinything==2.0", optional="notthere==1.0")
    ran = copy.start()
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout)["version"] == "2.0"
    assert "Left out: notthere==1.0" in ran.stderr
    assert copy.start().stderr == "", "what was left out is not tried at every start"


def test_what_is_installed_alone_brings_nothing_with_it(copy: Copy, tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, "hermit", "1.0", {"hermit.py": ""}, requires="Requires-Dist: notthere\n")
    copy.require("tinything")
    (copy.root / "requirements-alone.txt").write_text(f"hermit @ {wheel.as_uri()}  # why\n", "utf-8")
    ran = copy.start()
    assert (ran.returncode, "Left out" in ran.stderr) == (0, False), ran.stderr
    python = copy.root / ".venv" / "bin" / "python"
    assert subprocess.run([python, "-c", "import hermit"], check=False).returncode == 0
    assert copy.start().stderr == ""


def test_cut_short_installation_goes_on(copy: Copy, tmp_path: Path) -> None:
    copy.wheel("3.0")
    copy.require("tinything==3.0")
    shelf = copy.shelf.rename(tmp_path / "away")
    try:
        failed = copy.start()
    finally:
        shelf.rename(copy.shelf)
    assert failed.returncode == 1
    assert failed.stdout == ""
    assert "did not finish" in failed.stderr
    assert "Traceback" not in failed.stderr
    again = copy.start()
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["version"] == "3.0"


def test_broken_environment_is_made_anew(copy: Copy) -> None:
    interpreter = copy.root / ".venv" / "bin" / "python"
    interpreter.unlink()
    interpreter.symlink_to("/gone/python")  # what an upgrade of the system's Python leaves behind
    ran = copy.start("say")
    assert ran.returncode == 0, ran.stderr
    assert "making it anew" in ran.stderr
    assert json.loads(ran.stdout)["args"] == ["say"]


def test_named_index_brings_its_build(copy: Copy, tmp_path: Path) -> None:
    """What Windows needs for CUDA: a build of the same version, from an index that the person names."""
    version = json.loads(copy.start().stdout)["version"]
    page = tmp_path / "index" / "tinything"
    copy.wheel(f"{version}+cu1", page)
    wheel = next(page.glob("*.whl"))
    (page / "index.html").write_text(f'<a href="{wheel.name}">{wheel.name}</a>', "utf-8")
    # `--no-index` in the requirements file would switch every index off.
    (copy.root / "requirements.txt").write_text(
        f'--find-links "{copy.shelf.as_uri()}"\ntinything=={version}\n', "utf-8"
    )
    index = (tmp_path / "index").as_uri()
    environ = {"PIP_INDEX_URL": index, "TIMBRE_LAUNCH_TORCH_INDEX": index}
    ran = copy.start(**environ)
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout)["version"] == f"{version}+cu1"
    assert copy.start(**environ).stderr == ""


def test_folder_that_is_no_environment_is_left_alone(tmp_path: Path) -> None:
    copy = Copy(tmp_path)
    treasure = copy.root / ".venv" / "treasure.txt"
    treasure.parent.mkdir()
    treasure.write_text("mine", "utf-8")
    ran = copy.start()
    assert ran.returncode == 1
    assert "is no virtual environment" in ran.stderr
    assert treasure.read_text("utf-8") == "mine"


def test_too_little_disk_is_said_before_anything_is_written(tmp_path: Path) -> None:
    copy = Copy(tmp_path)
    copy.require("tinything==1.0", head="# disk-gb: 999999")
    ran = copy.start()
    assert ran.returncode == 1
    assert "999999 GB" in ran.stderr
    assert not (copy.root / ".venv").exists()


def test_no_python_says_what_to_install(tmp_path: Path) -> None:
    copy = Copy(tmp_path)
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("bash", "dirname", "uname", "env"):
        found = shutil.which(name)
        assert found
        (tools / name).symlink_to(found)
    old = tools / "python3"  # there, but too old: it fails the launch script's question
    old.write_text("#!/bin/sh\nexit 1\n", "utf-8")
    old.chmod(0o755)
    ran = copy.start(PATH=str(tools), TIMBRE_LAUNCH_PYTHON="")
    assert ran.returncode == 1
    assert "needs Python 3.11 or newer" in ran.stderr
    assert ran.stdout == ""
    assert not (copy.root / ".venv").exists()


def test_launch_bat_holds_together() -> None:
    """What can be judged of it here: line ends, ASCII (the console's code page varies), labels."""
    raw = (REPO_ROOT / "launch.bat").read_bytes()
    assert raw.count(b"\n") == raw.count(b"\r\n")
    text = raw.decode("ascii")
    lines = text.splitlines()
    labels = {line[1:].strip() for line in lines if line.startswith(":")}
    targets = {
        word.split()[0].strip(":") for line in lines for key in ("goto ", "call :") for word in line.split(key)[1:]
    }
    assert targets
    assert targets <= labels
    assert r'"%~dp0cli\bootstrap.py" %*' in text
