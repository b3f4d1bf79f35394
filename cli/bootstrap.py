"""Set-up behind launch.sh and launch.bat: make .venv, install what is pinned, start app.py in it.

Run by the Python that the launch script found, before anything is installed: standard library only, and nothing of
this repository is imported. What it says goes to stderr, so that `--json` keeps stdout for itself.

    bootstrap.py                      the same as `serve`
    bootstrap.py COMMAND [ARGS]       app.py COMMAND [ARGS]
    bootstrap.py test [PYTEST ARGS]   install the test extras, run the suite

Environment: TIMBRE_LAUNCH_TORCH_INDEX  address of a package index with CUDA builds of torch (Windows; see README)
             TIMBRE_LAUNCH_VENV         folder of the virtual environment instead of .venv
             TIMBRE_LAUNCH_REQUIREMENTS folder with the requirements files instead of this repository's own
"""

import contextlib
import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

ROOT = Path(__file__).resolve().parent.parent
STAMP = "timbre-stamp.json"
WINDOWS = os.name == "nt"
START = "launch.bat" if WINDOWS else "./launch.sh"
OLDEST = (3, 11)


class SetupError(Exception):
    """A sentence for the person who started the studio: what is wrong and what to do."""


def say(text: str) -> None:
    """One line to the person, on stderr."""
    print(text, file=sys.stderr, flush=True)


class Plan:
    """What is to be installed where. `test` adds the test extras."""

    def __init__(self, environ: dict[str, str], *, test: bool = False) -> None:
        self.venv = Path(environ.get("TIMBRE_LAUNCH_VENV") or ROOT / ".venv")
        self.folder = Path(environ.get("TIMBRE_LAUNCH_REQUIREMENTS") or ROOT)
        self.torch_index = environ.get("TIMBRE_LAUNCH_TORCH_INDEX", "").strip()
        self.main = self.folder / ("requirements-test.txt" if test else "requirements.txt")
        self.optional = self.folder / "requirements-optional.txt"
        self.alone = self.folder / "requirements-alone.txt"
        self.constraints = self.folder / "constraints.txt"
        self.kind = "test" if test else "run"

    @property
    def python(self) -> Path:
        """The environment's interpreter."""
        return self.venv / ("Scripts/python.exe" if WINDOWS else "bin/python")

    def wanted(self) -> str:
        """Digest of everything that decides what gets installed; a second start compares it and goes on."""
        digest = hashlib.sha256()
        # Both kinds read requirements.txt: the test extras include it.
        for path in (self.folder / "requirements.txt", self.main, self.optional, self.alone, self.constraints):
            digest.update(path.name.encode() + b"\0" + (path.read_bytes() if path.is_file() else b"-") + b"\0")
        here = (sys.version_info[:2], sys.platform, platform.machine(), self.torch_index)
        digest.update(repr(here).encode())
        return digest.hexdigest()

    def stamps(self) -> dict[str, Any]:
        """What earlier installations noted; empty where there was none or it was cut short."""
        try:
            found = json.loads((self.venv / STAMP).read_text("utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def done(self) -> bool:
        """True if this very set is installed already."""
        return self.stamps().get(self.kind) == self.wanted() and self.python.is_file()

    def need_bytes(self) -> int:
        """Free space that a first installation asks for, from the line `# disk-gb: N` of requirements.txt."""
        found = re.search(
            r"^# disk-gb:\s*([\d.]+)", (self.folder / "requirements.txt").read_text("utf-8"), re.MULTILINE
        )
        return int(float(found.group(1)) * 1e9) if found else 0


def works(plan: Plan) -> bool:
    """True if the environment's Python starts, is the one that runs this, and has pip."""
    if not plan.python.is_file():
        return False
    probe = "import sys, pip; print('%d.%d' % sys.version_info[:2])"
    try:
        ran = subprocess.run([plan.python, "-c", probe], capture_output=True, text=True, timeout=120, check=False)
    except OSError:
        return False
    return ran.returncode == 0 and ran.stdout.strip() == f"{sys.version_info[0]}.{sys.version_info[1]}"


def make_venv(plan: Plan) -> None:
    """Make the environment, in place of one that does not work. Never removes a folder that is none."""
    if plan.venv.exists():
        if not (plan.venv / "pyvenv.cfg").is_file() and any(plan.venv.iterdir()):
            raise SetupError(f"{plan.venv} is there but is no virtual environment. Move it away and start again.")
        say(f"The environment in {plan.venv} does not work any more; making it anew.")
        shutil.rmtree(plan.venv)
    say(f"Making the environment in {plan.venv} (Python {platform.python_version()}) …")
    try:
        venv.EnvBuilder(with_pip=True, symlinks=not WINDOWS).create(plan.venv)
    except (subprocess.CalledProcessError, SystemExit, ImportError) as err:
        # Debian splits ensurepip off; the half-made folder would look like an environment next time.
        shutil.rmtree(plan.venv, ignore_errors=True)
        raise SetupError(
            "This Python cannot make virtual environments. On Debian or Ubuntu: sudo apt install python3-venv; "
            f"then start {START} again."
        ) from err


def check_disk(plan: Plan) -> None:
    """Refuse a first installation that would not fit, before anything is written."""
    need = plan.need_bytes()
    folder = plan.venv
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    if free < need:
        raise SetupError(
            f"The first installation needs about {need / 1e9:.0f} GB of disk; {folder} has {free / 1e9:.1f} GB free. "
            f"Free some space and start {START} again; nothing was changed."
        )


def pip(plan: Plan, arguments: Sequence[str | Path]) -> int:
    """Run the environment's pip, its output on our stderr. Returns its exit code."""
    command = [plan.python, "-m", "pip", "install", "--disable-pip-version-check", "--no-input", *arguments]
    if plan.constraints.is_file():
        command += ["-c", plan.constraints]
    if plan.torch_index:
        # A CUDA build's version sorts above the plain one of the same number, so --upgrade also replaces that.
        command += ["--upgrade", "--extra-index-url", plan.torch_index]
    environ = {**os.environ, "PYTHONUNBUFFERED": "1"}  # or it would be silent for minutes where stderr is a file
    done = subprocess.run(command, stdout=sys.stderr, stdin=subprocess.DEVNULL, env=environ, check=False)
    return done.returncode


def optional_lines(path: Path) -> list[str]:
    """The requirements of a file whose lines are installed one by one."""
    if not path.is_file():
        return []
    lines = (line.split(" #")[0].strip() for line in path.read_text("utf-8").splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def install(plan: Plan) -> None:
    """Bring the environment to the pinned set and note it, the note last: a cut-short run is repeated."""
    before = plan.stamps()
    if not works(plan):
        if not before:
            check_disk(plan)
        make_venv(plan)
        before = {}
    say("Installing what the studio needs. The first time this is a download of several GB; later starts skip it.")
    code = pip(plan, ["-r", plan.main])
    if code != 0:
        raise SetupError(
            f"The installation did not finish (pip exit code {code}; its own words are above). Check the network and "
            f"the disk, then start {START} again: it goes on where it stopped."
        )
    for file, words in ((plan.optional, ["--quiet"]), (plan.alone, ["--quiet", "--no-deps"])):
        for line in optional_lines(file):
            if pip(plan, [*words, line]) != 0:
                say(f"Left out: {line}. The rest works; {file.name} says what this one is for.")
    before.update({plan.kind: plan.wanted(), "python": platform.python_version()})
    if plan.kind == "test":
        before["run"] = Plan({**os.environ}).wanted()
    with tempfile.NamedTemporaryFile("w", dir=plan.venv, suffix=".tmp", delete=False, encoding="utf-8") as out:
        json.dump(before, out)
    os.replace(out.name, plan.venv / STAMP)


def nvidia_on_windows(plan: Plan) -> None:
    """Windows' plain torch build has no CUDA; say how to name an index that has it. Linux builds carry CUDA."""
    if not WINDOWS or plan.torch_index or not shutil.which("nvidia-smi"):
        return
    say(
        "An NVIDIA GPU is here, but Windows' CUDA build of torch comes from the PyTorch project's own package index. "
        "To use the GPU: copy the --index-url address that pytorch.org shows for your system into the environment "
        "variable TIMBRE_LAUNCH_TORCH_INDEX and start launch.bat again. Going on with the CPU build."
    )


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold `path` while installing, so that two starts at once do not write into one environment."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b") as handle:
        _take(handle)
        yield


def _take(handle: IO[bytes]) -> None:
    if WINDOWS:
        import msvcrt

        handle.seek(0)
        while True:
            try:
                msvcrt.locking(handle.fileno(), msvcrt.LK_LOCK, 1)  # type: ignore[attr-defined,unused-ignore]
                return
            except OSError:  # LK_LOCK gives up after ten seconds; an installation takes longer
                say("Another start of the studio is installing; waiting for it.")
    import fcntl

    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        say("Another start of the studio is installing; waiting for it.")
        fcntl.flock(handle, fcntl.LOCK_EX)


def run(command: Sequence[str | Path], environ: dict[str, str]) -> int:
    """Become `command`; where a process cannot (Windows), wait for it. Returns the exit code."""
    words = [str(word) for word in command]
    if not WINDOWS:
        sys.stderr.flush()
        os.execve(words[0], words, environ)
    child = subprocess.Popen(words, env=environ)
    while True:
        try:
            return child.wait()
        except KeyboardInterrupt:  # the console sends it to the child as well; let that one finish cleanly
            continue


def main(arguments: list[str]) -> int:
    """Set up, then start. Returns the exit code (on POSIX only where the set-up failed)."""
    if sys.version_info[:2] < OLDEST:
        say(f"Timbre Studio needs Python 3.11 or newer; this is {platform.python_version()}.")
        return 1
    test = arguments[:1] == ["test"]
    environ = {**os.environ, "PYTHONUTF8": "1", "PYTHONNOUSERSITE": "1"}
    try:
        plan = Plan(environ, test=test)
        if not plan.done():
            with locked(plan.venv.parent / f"{plan.venv.name}.lock"):
                if not plan.done():  # the start that we waited for may have done it
                    nvidia_on_windows(plan)
                    install(plan)
    except SetupError as err:
        say(str(err))
        return 1
    except OSError as err:
        say(f"Set-up stopped: {err}. Correct that and start {START} again.")
        return 1
    except KeyboardInterrupt:
        say(f"Stopped. Start {START} again: it goes on where it stopped.")
        return 130
    if test:
        os.chdir(ROOT)  # pytest finds its settings and the tests from there
        return run([plan.python, "-m", "pytest", *arguments[1:]], environ)
    return run([plan.python, ROOT / "app.py", *arguments], environ)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
