"""Several files take their places together or not at all: also where a move fails, and where the process is killed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from core.cutting import together

NAMES = ("0001.wav", "raw/a/0001.wav", "report.json", "list", "manifest")


def ready(folder: Path) -> tuple[Path, list[tuple[Path, Path]]]:
    """A folder with a report and a manifest, and a work folder with new files for all of them."""
    folder.mkdir()
    for name in ("report.json", "manifest"):
        (folder / name).write_text(f"old {name}")
    work = together.work_folder(folder)
    work.mkdir()
    moves = []
    for number, name in enumerate(NAMES):
        (work / str(number)).write_text(f"new {name}")
        moves.append((work / str(number), folder / name))
    return work, moves


def seen(folder: Path) -> dict[str, str]:
    found = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    return {name: path.read_text() for name, path in found.items() if not name.startswith(".tmp-")}


OLD = {"report.json": "old report.json", "manifest": "old manifest"}
NEW = {name: f"new {name}" for name in NAMES}


def test_all_take_their_places(tmp_path: Path) -> None:
    folder = tmp_path / "a"
    together.place(folder, *ready(folder))
    assert seen(folder) == NEW


@pytest.mark.parametrize("blocked", NAMES)
def test_where_one_cannot_be_moved_the_folder_is_as_it_was(tmp_path: Path, blocked: str) -> None:
    folder = tmp_path / "a"
    work, moves = ready(folder)
    at = NAMES.index(blocked)
    moves[at] = (moves[at][0], folder / "blocked" / "x")
    (folder / "blocked").write_text("a file where a folder is wanted")
    with pytest.raises(OSError, match="blocked"):
        together.place(folder, work, moves)
    assert set(seen(folder)) == {*OLD, "blocked"}
    assert {name: text for name, text in seen(folder).items() if name in OLD} == OLD
    assert sorted(path.name for path in folder.iterdir()) == sorted([*OLD, "blocked", work.name])


CHILD = """
import os, signal, sys
from pathlib import Path
from core.cutting import together
from tests.cutting.test_together import ready

class Moves(list):
    rounds = 0

    def __iter__(self):
        Moves.rounds += 1
        for at, move in enumerate(super().__iter__()):
            if Moves.rounds == 3 and at == int(sys.argv[2]):
                os.kill(os.getpid(), signal.SIGKILL)
            yield move
        if Moves.rounds == 3 and int(sys.argv[2]) == len(self):
            os.kill(os.getpid(), signal.SIGKILL)

folder = Path(sys.argv[1])
work, moves = ready(folder)
together.place(folder, work, Moves(moves))
"""


@pytest.mark.skipif(os.name == "nt", reason="kills are those of POSIX")
@pytest.mark.parametrize("moved", range(len(NAMES) + 1))
def test_what_a_killed_process_left_half_way_is_undone(tmp_path: Path, repo_root: Path, moved: int) -> None:
    folder = tmp_path / "a"
    command = [sys.executable, "-c", CHILD, str(folder), str(moved)]
    done = subprocess.run(command, cwd=repo_root, capture_output=True, text=True, check=False)
    assert done.returncode == -9, done.stderr
    assert set(seen(folder)) == {*OLD, *NAMES[:moved]}
    together.recover(folder)
    assert seen(folder) == (NEW if moved == len(NAMES) else OLD)
    together.recover(folder)
    assert seen(folder) == (NEW if moved == len(NAMES) else OLD)


def test_the_work_of_a_living_process_is_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "a"
    work, _ = ready(folder)
    (work / "moves.json").write_text("{}")
    together.recover(folder)
    together.recover(tmp_path / "none")
    assert (work / "moves.json").is_file()
