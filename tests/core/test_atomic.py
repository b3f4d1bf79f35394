"""Writes happen wholly or not at all: killed, out of disk, forbidden, or failing in the middle."""

import errno
import json
import os
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core import atomic
from core.errors import BadInput, Conflict, NoSpace
from core.paths import REPO_ROOT

posix = pytest.mark.skipif(os.name == "nt", reason="POSIX limits, signals and permissions")


def leftovers(folder: Path) -> list[str]:
    return [name for name in os.listdir(folder) if name.startswith(".tmp-")]


def test_the_simple_cases(tmp_path: Path) -> None:
    file = tmp_path / "new" / "folder" / "ü.json"
    atomic.write_json(file, {"name": "声", "n": 1})
    assert json.loads(file.read_text(encoding="utf-8")) == {"name": "声", "n": 1}
    assert "声" in file.read_text(encoding="utf-8")
    atomic.write_text(file, "a\r\nb")
    assert file.read_bytes() == b"a\r\nb"
    atomic.write_bytes(file, b"")
    assert file.read_bytes() == b""
    assert leftovers(file.parent) == []


@settings(max_examples=20)  # each example waits for the disk four times
@given(st.binary(max_size=200), st.binary(max_size=200))
def test_the_last_write_is_what_is_read(tmp_path_factory: pytest.TempPathFactory, first: bytes, last: bytes) -> None:
    file = tmp_path_factory.mktemp("w") / "f"
    atomic.write_bytes(file, first)
    atomic.write_bytes(file, last)
    assert file.read_bytes() == last


def test_json_that_a_browser_could_not_read_is_refused(tmp_path: Path) -> None:
    atomic.write_json(tmp_path / "f", 1)
    with pytest.raises(ValueError, match="JSON"):
        atomic.write_json(tmp_path / "f", {"loss": float("nan")})
    assert json.loads((tmp_path / "f").read_text()) == 1


def test_a_body_that_fails_leaves_the_old_content_and_nothing_beside(tmp_path: Path) -> None:
    file = tmp_path / "f.wav"
    file.write_bytes(b"old")

    def fail() -> None:
        with atomic.file(file) as temp:
            temp.write_bytes(b"half")
            raise KeyError("a bug")

    with pytest.raises(KeyError):
        fail()
    assert file.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["f.wav"]


def test_the_temporary_name_keeps_the_suffix_and_lies_beside(tmp_path: Path) -> None:
    with atomic.file(tmp_path / ("x" * 250 + ".flac")) as temp:
        assert temp.suffix == ".flac"
        assert temp.parent == tmp_path
        temp.touch()
    assert leftovers(tmp_path) == []


def test_a_body_that_writes_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), atomic.file(tmp_path / "f"):
        pass
    assert os.listdir(tmp_path) == []


@posix
def test_permissions_of_an_existing_file_stay(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("a")
    file.chmod(0o600)
    atomic.write_text(file, "b")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    mask = os.umask(0o027)
    try:
        atomic.write_text(tmp_path / "fresh", "c")
    finally:
        os.umask(mask)
    assert stat.S_IMODE((tmp_path / "fresh").stat().st_mode) == 0o640


def run_child(code: str, *arguments: str, **options: object) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=REPO_ROOT, text=True, capture_output=True, timeout=120, **options
    )  # type: ignore[call-overload]


@posix
def test_a_protected_folder_says_so(tmp_path: Path) -> None:
    folder = tmp_path / "locked"
    folder.mkdir()
    (folder / "f").write_text("old")
    folder.chmod(0o555)
    tmp_path.chmod(0o755)
    code = """
import os, sys
from core import atomic
from core.errors import BadInput
if os.getuid() == 0:
    os.setuid(65534)  # root may write anywhere
try:
    atomic.write_text(sys.argv[1] + "/f", "new")
except BadInput as err:
    print("protected" in err.message and bool(err.hint))
except OSError as err:
    print("unreachable", err)
"""
    parent = tmp_path
    while parent != parent.parent:  # pytest's own folders are closed to others
        if os.getuid() == 0 and parent.stat().st_mode & 0o005 != 0o005 and parent.name.startswith(("pytest", "popen")):
            parent.chmod(0o755)
        parent = parent.parent
    answer = run_child(code, str(folder))
    folder.chmod(0o755)
    assert answer.stdout.strip() == "True", answer.stderr
    assert (folder / "f").read_text() == "old"


@posix
def test_a_full_disk_leaves_the_old_file_and_says_how_much_is_free(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("old")
    code = """
import resource, sys
from core import atomic
from core.errors import NoSpace
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
for body in (lambda t: t.write_bytes(b"x" * 5000), lambda t: lose_number(t)):
    def lose_number(t):
        raise RuntimeError("I/O error: No space left on device (os error 28)")
    try:
        with atomic.file(sys.argv[1]) as temp:
            body(temp)
    except NoSpace as err:
        print("free" in err.message, bool(err.hint))
"""
    answer = run_child(code, str(tmp_path / "f"))
    assert answer.stdout.split() == ["True"] * 4, answer.stderr
    assert (tmp_path / "f").read_text() == "old"
    assert leftovers(tmp_path) == []


def killed_while(tmp_path: Path, body: str) -> None:
    """Run `body` in a child up to the line it prints, then kill -9."""
    code = f"import sys, time\nfrom pathlib import Path\nfrom core import atomic\nroot = Path(sys.argv[1])\n{body}"
    child = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], cwd=REPO_ROOT, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "now\n"
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    child.stdout.close()


@posix
def test_a_process_killed_in_the_middle_leaves_the_old_file_and_a_leftover_that_is_swept(tmp_path: Path) -> None:
    (tmp_path / "f.json").write_text("old")
    killed_while(
        tmp_path,
        "with atomic.file(root / 'f.json') as temp:\n"
        "    temp.write_bytes(b'half')\n    print('now', flush=True)\n    time.sleep(60)\n",
    )
    assert (tmp_path / "f.json").read_text() == "old"
    assert len(leftovers(tmp_path)) == 1
    assert len(atomic.sweep(tmp_path)) == 1
    assert os.listdir(tmp_path) == ["f.json"]


@posix
def test_a_writer_killed_at_any_moment_never_shows_a_part(tmp_path: Path) -> None:
    file = tmp_path / "f"
    file.write_bytes(b"0" * 300_000)
    body = (
        "print('now', flush=True)\nn = 0\nwhile True:\n    n += 1\n"
        "    atomic.write_bytes(root / 'f', str(n % 10).encode() * 300_000)\n"
    )
    for _ in range(3):
        killed_while(tmp_path, body)
        content = file.read_bytes()
        assert len(content) == 300_000
        assert len(set(content)) == 1


def test_readers_beside_a_writer_never_see_a_part(tmp_path: Path) -> None:
    file = tmp_path / "f"
    atomic.write_bytes(file, b"0" * 50_000)
    stop = threading.Event()

    def write() -> None:
        n = 0
        while not stop.is_set():
            n += 1
            atomic.write_bytes(file, str(n % 10).encode() * 50_000)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(200):
            content = file.read_bytes()
            assert len(content) == 50_000
            assert len(set(content)) == 1
    finally:
        stop.set()
        writer.join()


def test_a_folder_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "checkpoints" / "step_1"
    with atomic.folder(target) as build:
        (build / "deep").mkdir()
        (build / "deep" / "a.bin").write_bytes(b"a")
        assert not target.exists()
    assert (target / "deep" / "a.bin").read_bytes() == b"a"

    def fail() -> None:
        with atomic.folder(target.with_name("step_2")) as build:
            (build / "a.bin").write_bytes(b"a")
            raise RuntimeError("a bug")

    with pytest.raises(RuntimeError):
        fail()
    assert os.listdir(target.parent) == ["step_1"]


def test_an_existing_folder_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    with pytest.raises(Conflict, match="exists"), atomic.folder(tmp_path / "run"):
        pytest.fail("the body must not run")

    def overtaken() -> None:
        with atomic.folder(tmp_path / "late"):
            (tmp_path / "late").mkdir()

    with pytest.raises(Conflict):
        overtaken()
    assert sorted(os.listdir(tmp_path)) == ["late", "run"]


@posix
def test_a_folder_on_a_full_disk_leaves_nothing(tmp_path: Path) -> None:
    code = """
import resource, sys
from core import atomic
from core.errors import NoSpace
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    with atomic.folder(sys.argv[1]) as build:
        (build / "small").write_bytes(b"x")
        (build / "big").write_bytes(b"x" * 5000)
except NoSpace:
    print("no space")
"""
    assert run_child(code, str(tmp_path / "new")).stdout == "no space\n"
    assert os.listdir(tmp_path) == []


def test_sweep_leaves_work_in_progress_and_other_files_alone(tmp_path: Path) -> None:
    with atomic.file(tmp_path / "mine") as temp:
        temp.touch()
        (tmp_path / ".tmp-notes.txt").touch()
        (tmp_path / ".tmp-²-x").touch()
        assert atomic.sweep(tmp_path) == []
    assert sorted(os.listdir(tmp_path)) == [".tmp-notes.txt", ".tmp-²-x", "mine"]


def test_errors_about_other_files_pass_unchanged(tmp_path: Path) -> None:
    with pytest.raises(PermissionError), atomic.file(tmp_path / "f"):
        raise PermissionError(13, "Permission denied", "/elsewhere/source.wav")
    assert not isinstance(PermissionError(), (BadInput, NoSpace))


def test_a_place_that_cannot_be_is_told_before_the_work(tmp_path: Path) -> None:
    source, link = tmp_path / "source.srt", tmp_path / "link.srt"
    source.write_text("mine")
    link.symlink_to(source)
    atomic.check_target(tmp_path / "new" / "deep" / "file.srt", source)
    atomic.check_target(source)
    for path, why in (
        (tmp_path, "is a folder"),
        (source, "would be lost"),
        (link, "would be lost"),
        (source / "a" / "b.srt", "is no folder"),
    ):
        with pytest.raises(BadInput, match=why):
            atomic.check_target(path, tmp_path / "gone.srt", source)
    assert sorted(tmp_path.iterdir()) == [link, source]


def test_scratch_is_gone_also_after_an_error(tmp_path: Path) -> None:
    def fail(folder: Path) -> None:
        (folder / "part.f32").write_bytes(b"x")
        raise RuntimeError(folder.name)

    with pytest.raises(RuntimeError, match=r"^song-"), atomic.scratch(tmp_path / "cache", "song-") as folder:
        fail(folder)
    assert list((tmp_path / "cache").iterdir()) == []


def test_scratch_of_a_full_disk_says_so(tmp_path: Path) -> None:
    with pytest.raises(NoSpace), atomic.scratch(tmp_path, "song-"):
        raise OSError(errno.ENOSPC, "No space left on device")
