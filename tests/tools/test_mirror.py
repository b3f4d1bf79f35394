"""The copy that a notebook keeps of its workspace, there and back."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from tools.mirror import mirror


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")


def test_copies_what_changed_and_brings_it_back(tmp_path: Path) -> None:
    work, kept = tmp_path / "workspace", tmp_path / "云盘 drive"
    write(work / "voices" / "小明" / "clip.wav", "one")
    write(work / "cache" / "big", "can be made again")
    write(work / "studio.lock", "")
    assert mirror(work, kept) == 1
    assert mirror(work, kept) == 0, "nothing changed"
    assert not (kept / "cache").exists()
    write(work / "voices" / "小明" / "clip.wav", "two longer")
    (work / "voices" / "小明" / "cache").mkdir()
    write(work / "voices" / "小明" / "cache" / "kept", "only the workspace's own cache is left out")
    assert mirror(work, kept) == 2
    back = tmp_path / "next machine"
    mirror(kept, back)
    assert (back / "voices" / "小明" / "clip.wav").read_text("utf-8") == "two longer"
    assert not list(kept.rglob("*.tmp"))


def test_database_is_whole_while_it_is_written(tmp_path: Path) -> None:
    work, kept = tmp_path / "w", tmp_path / "k"
    work.mkdir()
    with closing(sqlite3.connect(work / "studio.sqlite3")) as open_one:
        open_one.execute("pragma journal_mode=wal")
        open_one.execute("create table jobs (id integer)")
        open_one.execute("insert into jobs values (7)")
        open_one.commit()  # lives in the -wal file alone, which a plain copy would miss
        assert mirror(work, kept) == 1
    with closing(sqlite3.connect(kept / "studio.sqlite3")) as copy:
        assert copy.execute("select id from jobs").fetchall() == [(7,)]
    assert [path.name for path in kept.iterdir()] == ["studio.sqlite3"]


def test_what_fails_leaves_the_copy_as_it_was(tmp_path: Path) -> None:
    work, kept = tmp_path / "w", tmp_path / "k"
    write(work / "a.txt", "one")
    mirror(work, kept)
    write(work / "a.txt", "another")
    os.remove(work / "a.txt")
    os.symlink(work / "gone", work / "a.txt")
    assert mirror(work, kept) == 0
    assert (kept / "a.txt").read_text("utf-8") == "one"
