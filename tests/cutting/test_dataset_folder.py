"""Numbers go on safely whatever the manifest's last line looks like, and no line is lost."""

import json
from pathlib import Path

import pytest

from core.cutting.dataset_folder import BROKEN, MANIFEST, broken_warning, existing, with_broken
from core.errors import Conflict


def row(number: int) -> str:
    return json.dumps({"audio": f"/data/{number:04d}.wav", "text": "好 |", "duration": 1.5}, ensure_ascii=False)


@pytest.mark.parametrize(
    ("text", "last", "good", "broken"),
    [
        ("", 0, 0, 0),
        (row(1) + "\n" + row(2) + "\n", 2, 2, 0),
        (row(1) + "\n" + row(2), 2, 2, 0),
        (row(1) + "\n\n\n" + row(7) + "\n\n", 7, 2, 0),
        (row(3) + "\r\n" + row(2) + "\r\n", 3, 2, 0),
        ("\ufeff" + row(4) + "\n", 4, 1, 0),
        (row(5) + "\n" + row(6)[:20], 5, 1, 1),
        (row(5) + "\n[1, 2]\n{}\nnull\n", 5, 1, 3),
        (row(5) + '\n{"audio": "C:\\\\clips\\\\0012.wav"}\n', 12, 2, 0),
        (row(5) + '\n{"audio": "/data/hello.wav"}\n', 5, 2, 0),
        (row(5) + '\n{"audio": "/data/20261121150000.wav"}\n', 5, 2, 0),
        (row(5) + '\n{"audio": "/data/' + 5000 * "9" + '.wav"}\n', 5, 2, 0),
        (row(5) + "\n" + 50_000 * "[" + "\n", 5, 1, 1),
    ],
)
def test_manifests(tmp_path: Path, text: str, last: int, good: int, broken: int) -> None:
    (tmp_path / MANIFEST).write_bytes(text.encode())
    found = existing(tmp_path, append=True)
    assert (found.last_number, len(found.lines), len(found.broken)) == (last, good, broken)
    assert all(line in text for line in found.lines)


def test_bytes_that_are_no_text_are_a_broken_line(tmp_path: Path) -> None:
    (tmp_path / MANIFEST).write_bytes(row(1).encode() + b'\n{"audio": "/data/\xff\xfe.wav"}\n')
    found = existing(tmp_path, append=True)
    assert (found.last_number, len(found.broken)) == (1, 1)
    assert "put aside" in broken_warning(found.broken)
    assert with_broken(tmp_path, found.broken) == b'{"audio": "/data/\xff\xfe.wav"}\n'


def test_broken_lines_gather(tmp_path: Path) -> None:
    assert (broken_warning([]), with_broken(tmp_path, [])) == ("", b"")
    (tmp_path / BROKEN).write_bytes(with_broken(tmp_path, ["one"]))
    assert with_broken(tmp_path, ["two"]) == b"one\ntwo\n"


def test_files_that_no_line_names_count(tmp_path: Path) -> None:
    (tmp_path / MANIFEST).write_text(row(1) + "\n")
    (tmp_path / "0009.wav").write_bytes(b"")
    (tmp_path / "0010.WAV").write_bytes(b"")
    (tmp_path / "notes.wav").write_bytes(b"")
    assert existing(tmp_path, append=True).last_number == 10


def test_a_dataset_that_is_there_is_not_touched_without_append(tmp_path: Path) -> None:
    assert existing(tmp_path / "new", append=False).last_number == 0
    (tmp_path / "0001.wav").write_bytes(b"")
    with pytest.raises(Conflict, match="already"):
        existing(tmp_path, append=False)
