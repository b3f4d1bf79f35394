"""Figures survive between runs; lines that a crash or another version left are not believed."""

import json
from pathlib import Path

import pytest

from core.quality.cache import FigureCache
from core.quality.figures import ClipFigures

FIGURES = ClipFigures(1.0, -20.0, -1.0, 40.0, 0.0, 8000.0, 0.9, notes={60: 0.5})


def test_what_was_put_is_found_again(tmp_path: Path) -> None:
    path = tmp_path / "new" / "figures.jsonl"
    with FigureCache(path, "timbre") as cache:
        assert cache.get("a") is None
        cache.put("a", FIGURES)
    with FigureCache(path, "timbre") as cache:
        assert cache.get("a") == FIGURES
    with FigureCache(path, "ears") as cache:
        assert cache.get("a") is None, "another embedder's vectors cannot be compared"


@pytest.mark.parametrize(
    "junk", [b'{"key": "1:tim', b"\xff\xfe", b"[]", b'{"key": "1:timbre", "sha256": "b"}', b"null"]
)
def test_a_torn_line_costs_itself_only(tmp_path: Path, junk: bytes) -> None:
    path = tmp_path / "figures.jsonl"
    with FigureCache(path, "timbre") as cache:
        cache.put("a", FIGURES)
    path.write_bytes(path.read_bytes() + junk)
    with FigureCache(path, "timbre") as cache:
        cache.put("c", FIGURES)
    with FigureCache(path, "timbre") as cache:
        assert (cache.get("a"), cache.get("b"), cache.get("c")) == (FIGURES, None, FIGURES)


def test_another_version_is_measured_again(tmp_path: Path) -> None:
    path = tmp_path / "figures.jsonl"
    with FigureCache(path, "timbre") as cache:
        cache.put("a", FIGURES)
    row = json.loads(path.read_text())
    path.write_text(json.dumps({**row, "key": "0:timbre"}) + "\n")
    with FigureCache(path, "timbre") as cache:
        assert cache.get("a") is None


def test_tidying_keeps_what_is_wanted(tmp_path: Path) -> None:
    path = tmp_path / "figures.jsonl"
    with FigureCache(path, "timbre") as cache:
        for number in range(520):
            cache.put(str(number), FIGURES)
        cache.tidy(["7", "8", "gone"])
    assert len(path.read_text().splitlines()) == 2
    with FigureCache(path, "timbre") as cache:
        assert cache.get("7") == FIGURES
